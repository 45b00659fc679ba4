"""`adrefine bundle check`: whether a bundle is whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from adrefine.cli.output import add_json, print_json


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "bundle",
        help="check that a model's folder is whole",
        description="A bundle is a model with all that it takes to use it: models/bundle, made by evaluate, "
        "and every folder of promoted/. `check` compares each of its files with its hash.",
        epilog="Example: adrefine bundle check promoted/current",
    )
    parser.add_argument("action", choices=["check"], help="compare each file with its hash")
    parser.add_argument("path", type=Path, help="folder of the bundle")
    add_json(parser)
    parser.set_defaults(run=bundle)


def bundle(chosen: argparse.Namespace) -> None:
    """Say that the bundle is whole.

    Raises:
        UserError: it is not.
    """
    from adrefine.bundle import contents

    checked = contents.check(chosen.path)
    if chosen.json:
        print_json({"whole": True, **checked.model_dump(exclude={"files"}), "files": len(checked.files)})
        return
    print(
        f"{chosen.path} is complete: {checked.detector} of {checked.dataset['name']}, "
        f"{len(checked.files)} files, schema {checked.schema_version}"
    )
