"""`python -m adrefine`: the command `adrefine`."""

from adrefine.cli import main

main()
