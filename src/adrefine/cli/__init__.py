"""The command `adrefine`: what is not a stage of the graph. One module a subcommand; heavy imports wait."""

from __future__ import annotations

import argparse

from adrefine import __version__
from adrefine.cli import (
    benchmark,
    bundle,
    check,
    completion,
    diff,
    exp,
    export,
    init,
    list_photos,
    log,
    predict,
    promote,
    repro,
    review,
    serve_model,
    summary,
)
from adrefine.errors import exit_cleanly

COMMANDS = (
    init,
    summary,
    check,
    repro,
    review,
    diff,
    log,
    exp,
    list_photos,
    promote,
    predict,
    serve_model,
    bundle,
    export,
    benchmark,
    completion,
)  # in the order of the help


def main() -> None:
    """Entry point of the `adrefine` command."""
    exit_cleanly(run)


def run(arguments: list[str] | None = None) -> None:
    """Parse `arguments` (the command line's by default) and run the subcommand."""
    chosen = parser().parse_args(arguments)
    chosen.run(chosen)


def parser() -> argparse.ArgumentParser:
    """The parser; what it returns has a function `run`, which takes it."""
    made = argparse.ArgumentParser(
        prog="adrefine",
        description="Find the defects hidden among good training photos. `dvc repro` runs the graph; "
        "this command does the rest.",
        epilog="Example: adrefine check && dvc repro && adrefine summary",
    )
    made.add_argument("--version", action="version", version=f"adrefine {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return made
