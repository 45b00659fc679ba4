"""Variables that Prefect reads at its import: a program of ours imports this first."""

import os
import warnings

# prefect.toml keeps our own server quiet; this, a flow on any other server.
os.environ.setdefault("DO_NOT_TRACK", "1")
# `serving.server` says it in one line, with the remedy.
warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")
