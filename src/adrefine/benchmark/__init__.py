"""`adrefine benchmark`: strategies compared over datasets, noise levels and seeds (see command.py)."""
