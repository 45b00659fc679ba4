"""`adrefine summary`: the result of the last run."""

from __future__ import annotations

import argparse

from adrefine import paths
from adrefine.cli.output import add_json, print_json
from adrefine.errors import UserError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    text = "print the result of the last run: what was removed and what it gained"
    parser = commands.add_parser("summary", help=text, description=text[0].upper() + text[1:] + ".")
    add_json(parser)
    parser.set_defaults(run=summary)


def summary(chosen: argparse.Namespace) -> None:
    """Print the short result of the last run; as JSON all its metrics and timings."""
    from adrefine.io import read_json, timings, whole
    from adrefine.report.summary import summary_lines

    file, report = paths.REPORTS / "metrics.json", paths.REPORTS / "report.html"
    if not file.exists():
        raise UserError(f"{file} is missing: run `dvc repro` first")
    metrics, timing = read_json(file), timings(paths.REPORTS / "timing.json")
    if chosen.json:
        print_json({"metrics": metrics, "timing": timing, "report": str(report)})
    else:
        with whole(file):
            lines = summary_lines(metrics, report, timing)
        print("\n".join(lines))
