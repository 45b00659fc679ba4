"""The command `adrefine`: what is not a stage of the graph."""

from __future__ import annotations

import argparse

from adrefine import paths
from adrefine.errors import UserError, exit_cleanly


def main() -> None:
    """Entry point of the `adrefine` command."""
    exit_cleanly(run)


def run(arguments: list[str] | None = None) -> None:
    """Parse `arguments` (the command line's by default) and run the subcommand."""
    parser = argparse.ArgumentParser(
        prog="adrefine",
        description="Find the defects hidden among good training photos. `dvc repro` runs the graph; "
        "this command does the rest.",
        epilog="Example: adrefine check && dvc repro && adrefine summary",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "summary", help="print the result of the last run: what was removed and what it gained"
    )
    commands.add_parser(
        "check",
        help="say at once what is wrong with params.yaml; `dvc repro` reads it only where a stage has to run",
    )
    chosen = parser.parse_args(arguments)
    {"summary": summary, "check": check}[chosen.command]()


def summary() -> None:
    """Print the short result of the last run."""
    from adrefine.io import read_json
    from adrefine.report.summary import summary_lines

    metrics = paths.REPORTS / "metrics.json"
    if not metrics.exists():
        raise UserError(f"{metrics} is missing: run `dvc repro` first")
    print("\n".join(summary_lines(read_json(metrics), paths.REPORTS / "report.html")))


def check() -> None:
    """Say whether params.yaml is sound."""
    from adrefine import params

    settings = params.load()
    print(f"params.yaml is sound: {settings.dataset.name}, {settings.detector}, {settings.refine.strategy}")
