"""Makes `tests/` importable, for the modules that several tests share (`trees`)."""
