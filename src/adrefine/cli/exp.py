"""`adrefine exp`: experiments side by side, in one narrow table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adrefine.cli.output import add_json, print_json, print_table

if TYPE_CHECKING:
    from adrefine.comparing.log import Entry

_TITLES = ("version", "strategy", "noise", "removed", "before", "after", "ceiling", "gain", "changes")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "exp",
        help="compare experiments: a narrow `dvc exp show`",
        description="The workspace, the present commit and the experiments of `dvc exp run` and sweeps, the "
        "newest first: share of hidden defects, photos removed, AUROC on the test photos before and after "
        "cleaning and without the hidden defects (ceiling), and the share of that gain that is reached.",
        epilog="Example: dvc exp run -n osr -S refine.strategy=osr && adrefine exp",
    )
    parser.add_argument("-n", type=int, default=20, metavar="N", help="largest number; default: 20")
    add_json(parser)
    parser.set_defaults(run=exp)


def exp(chosen: argparse.Namespace) -> None:
    """Print them."""
    from adrefine.comparing.log import experiments

    found = experiments(max(chosen.n, 1))
    if chosen.json:
        print_json([entry.as_json() for entry in found])
        return
    print_table([_TITLES, *map(_cells, found)])
    if not found:
        print("no experiment yet: run `dvc repro`, commit, then `dvc exp run -S key=value`")


def _cells(one: Entry) -> tuple[str, ...]:
    aurocs = ("" if value is None else f"{value:.3f}" for value in (one.before, one.auroc, one.ceiling))
    return (
        one.name,
        one.strategy,
        "" if one.noise is None else f"{one.noise:.0%}",
        "" if one.removed is None else str(one.removed),
        *aurocs,
        "" if one.gain is None else f"{one.gain:.0%}",
        one.subject[:60],
    )
