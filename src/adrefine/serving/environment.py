"""Variables that Prefect reads at its import: a program of ours imports this first."""

import os

# prefect.toml keeps our own server quiet; this, a flow on any other server.
os.environ.setdefault("DO_NOT_TRACK", "1")
