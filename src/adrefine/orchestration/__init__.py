"""What the Prefect flows do, without Prefect: DVC called as a program, its plans and experiments read.

DVC alone decides what is up to date. Nothing here keeps a cache of its own.
"""

import os

# Prefect reads it at its import. prefect.toml keeps our own server quiet; this, a flow on any other server.
os.environ.setdefault("DO_NOT_TRACK", "1")
