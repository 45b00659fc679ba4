"""What a computation runs on: device, precision, threads, processes, seeds."""
