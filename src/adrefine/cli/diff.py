"""`adrefine diff`: what differs between two versions of the cleaned dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from adrefine.cli.output import add_json, print_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "diff",
        help="compare which photos two versions of the dataset keep, why, and the effect on the detector",
        description="A version is a git revision, the name of an experiment, promoted/NNNN, a manifest file, "
        "or `workspace`. Nothing is checked out. Scores are in units of the limit: over 1 a photo may go.",
        epilog="Example: adrefine diff HEAD~1 HEAD --html diff.html",
    )
    parser.add_argument("a", metavar="A", help="the first version; see `adrefine log`")
    parser.add_argument(
        "b", metavar="B", nargs="?", default="workspace", help="the second; default: %(default)s"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each photo that differs")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with both maps of each photo")
    add_json(parser)
    parser.set_defaults(run=diff)


def diff(chosen: argparse.Namespace) -> None:
    """Compare, write what is asked for, and print."""
    from adrefine.comparing import words
    from adrefine.comparing.difference import compare
    from adrefine.comparing.version import find
    from adrefine.io import write_text

    difference = compare(find(chosen.a), find(chosen.b))
    if chosen.csv:
        write_text(chosen.csv, words.as_csv(difference))
    if chosen.html:
        from adrefine.comparing import sheet

        write_text(chosen.html, sheet.render(difference))
    if chosen.json:
        print_json(words.as_json(difference))
    else:
        print("\n".join(words.lines(difference)))
        for file in filter(None, (chosen.csv, chosen.html)):
            print(f"written: {file}")
