"""`adrefine check`: what is wrong with params.yaml and the folder of photos, before a run finds out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from adrefine.cli.output import add_json, print_json
from adrefine.errors import UserError

SECONDS = 5.0  # of looking at photos
if TYPE_CHECKING:
    from adrefine.params import Params
    from adrefine.starting.look import Look


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "check",
        help="say at once what is wrong with params.yaml (`dvc repro` reads it only where a stage runs); "
        "repair dvc.lock and DVC's list of locks if DVC was killed while it wrote them",
        description="Says in one line what is wrong with params.yaml, or that it is correct. Exit code 2: "
        "something is wrong.",
    )
    add_json(parser)
    parser.set_defaults(run=check)


def check(chosen: argparse.Namespace) -> None:
    """Say whether params.yaml and the project are sound; mend what a killed DVC left.

    Raises:
        UserError: it is not. As JSON the message is printed as well.
    """
    from adrefine import params
    from adrefine.dvc_driver import health, preflight

    mended = health.mend()
    if not chosen.json:
        print("\n".join(mended), end="\n" if mended else "")
    try:
        busy = health.look()
        preflight.check()
        settings = params.load_whole()
        preflight.check_settings(settings)
        seen = _look(settings)
        found = [*_nothing_to_hide(settings, seen), *seen.problems()] if seen else []
        warnings = [*filter(None, [busy]), *health.advice(), *found]
    except UserError as error:
        if chosen.json:
            print_json({"sound": False, "error": str(error), "mended": mended})
        raise
    names = {
        "dataset": settings.dataset.name,
        "detector": settings.detector,
        "strategy": settings.refine.strategy,
    }
    files = {"files": seen.files if seen else "", "looked": seen.seen() if seen else ""}
    if chosen.json:
        print_json({"sound": True, **names, "mended": mended, **files, "warnings": warnings})
    else:
        print(f"params.yaml is correct: {', '.join(names.values())}")
        if seen:
            print(f"{settings.dataset.root}: {seen.files}\n{seen.seen()}")
        for line in warnings:
            print(f"warning: {line}")


def _nothing_to_hide(settings: Params, seen: Look) -> list[str]:
    """What inject_noise would say after ingest."""
    noise = settings.noise
    if noise.mode == "as_given" or not noise.level or seen.defective:
        return []
    return [
        f"noise.level = {noise.level:g} hides known defects among the training photos, but none of the "
        f"{seen.photos:,} photos is labelled a defect: set noise.level to 0"
    ]


def _look(settings: Params) -> Look | None:
    """A look at what is under dataset.root; None for the demo.

    Raises:
        UserError: there is no such folder, or the photos are not laid out as dataset.name says.
    """
    if settings.dataset.name == "demo":
        return None
    from adrefine.starting import look

    return look.look(settings.dataset, SECONDS)
