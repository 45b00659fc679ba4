"""Equations that are broken on purpose, to see whether a test notices."""
