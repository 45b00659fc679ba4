"""DVC driven as a program: what it would run and why, followed line by line, its results as tables.

DVC alone decides what is up to date. Nothing here keeps a cache of its own.
"""
