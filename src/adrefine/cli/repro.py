"""`adrefine run`: `dvc repro` with everything that can be said, mended or refused before it."""

from __future__ import annotations

import argparse

from adrefine.errors import UserError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "run",
        help="check the project, repair what a killed run left, write settings, then run `dvc repro`",
        description="As `adrefine check && dvc repro`. Settings given with -S are written to params.yaml "
        "first and stay there; no experiment is made, so that a stop at any moment leaves no trace in git.",
        epilog="Example: adrefine run -S detector=differnet -S differnet.epochs=40",
    )
    parser.add_argument(
        "-S", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="write to params.yaml"
    )
    parser.add_argument("--force", action="store_true", help="run every stage, even if it is up to date")
    parser.set_defaults(run=repro)


def repro(chosen: argparse.Namespace) -> None:
    """Check, write what was given, and follow `dvc repro` to its end.

    Raises:
        UserError: something is wrong before; another DVC is at work. Failed: a stage failed.
    """
    from adrefine import strict_yaml
    from adrefine.dvc_driver import checked

    changes = {}
    for given in chosen.settings:
        key, equals, text = given.partition("=")
        if not equals:
            raise UserError(f"-S {given}: write KEY=VALUE, as in -S detector=padim")
        changes[key] = strict_yaml.parsed(text, f"-S {key}")
    for line in checked.lines(changes, chosen.force):
        print(line, flush=True)
