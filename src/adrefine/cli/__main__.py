"""`python -m adrefine.cli`: the command `adrefine`."""

from adrefine.cli import main

main()
