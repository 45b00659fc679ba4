"""adrefine beside anomalib: the same photos, machine and run."""
