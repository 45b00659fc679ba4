"""What makes the figures in docs/results.md. Run at the root of the project: `python -m benchmarks.NAME`."""
