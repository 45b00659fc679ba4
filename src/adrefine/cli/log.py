"""`adrefine log`: the versions of the cleaned dataset."""

from __future__ import annotations

import argparse

from adrefine.cli.output import add_json, print_json, print_table


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "log",
        help="list the versions of the dataset: commits, experiments, promoted ones",
        description="Newest first, of each kind. Of commits those that changed data/refined. Versions of one "
        "digest keep the same photos.",
        epilog="Example: adrefine log && adrefine diff promoted/0001 HEAD",
    )
    parser.add_argument(
        "-n", type=int, default=20, metavar="N", help="largest number of each kind; default: 20"
    )
    add_json(parser)
    parser.set_defaults(run=log)


def log(chosen: argparse.Namespace) -> None:
    """Print them."""
    from adrefine.comparing.log import entries

    versions = entries(max(chosen.n, 1))
    if chosen.json:
        print_json([entry.as_json() for entry in versions])
        return
    titles = ("version", "date", "strategy", "detector", "kept", "removed", "AUROC", "gain", "digest", "")
    rows: list[tuple[str, ...]] = [titles]
    for one in versions:
        numbers = ["" if value is None else str(value) for value in (one.kept, one.removed)]
        shares = [
            "" if one.auroc is None else f"{one.auroc:.3f}",
            "" if one.gain is None else f"{one.gain:.0%}",
        ]
        when = one.date[:16].replace("T", " ")
        rows.append(
            (one.name, when, one.strategy, one.detector, *numbers, *shares, one.digest, one.subject[:60])
        )
    print_table(rows)
    if not versions:
        print("no version yet: run `dvc repro`, then commit dvc.lock")
