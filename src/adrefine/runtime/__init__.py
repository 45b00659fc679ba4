"""What a computation runs on: device, precision, threads, processes, seeds; and how it shows its progress."""
