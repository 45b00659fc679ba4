"""What the Prefect flows do, without Prefect: DVC called as a program, its plans and experiments read.

DVC alone decides what is up to date. Nothing here keeps a cache of its own.
"""
