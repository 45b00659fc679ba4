"""`adrefine promote`: the refined model into use, if it is no worse than the one in use."""

from __future__ import annotations

import argparse
import sys

from adrefine import paths
from adrefine.cli.output import add_json, print_json
from adrefine.errors import UserError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "promote",
        help="put the refined model into use if it is no worse than the best promoted one on held-out photos",
        description="Compares the model of the last `dvc repro` with the best promoted one on the photos "
        "held out from both (section `promotion` of params.yaml). A model that is no worse is copied with "
        "its dataset and its report, with the maps of photos, to a new folder in promoted/, where "
        "promoted/current leads. promoted/history.csv has every decision.",
        epilog="Example: dvc repro && adrefine promote",
    )
    parser.add_argument("--anyway", action="store_true", help="promote it even if the comparison refuses it")
    add_json(parser)
    parser.set_defaults(run=promote)


def promote(chosen: argparse.Namespace) -> None:
    """Promote the refined model and its dataset, if they are no worse than what is promoted."""
    from dataclasses import replace

    from adrefine import manifest, params
    from adrefine.dvc_driver import preflight
    from adrefine.serving import candidate, promotion, versions

    preflight.check_writable()
    seen = candidate.digest(candidate.watched())
    settings = params.load()
    promotion.refuse_hidden(settings.noise)
    _check_up_to_date()
    with candidate.unchanged(seen):
        held = promotion.held_out(manifest.read(paths.REFINED / paths.MANIFEST))
        made = candidate.of_workspace(settings, held)
    verdict = promotion.judge(settings.promotion, held, made.record, versions.best(paths.PROMOTED))
    if chosen.anyway and not verdict.promote:
        verdict = replace(verdict, promote=True, best=True, reason=f"by hand, although {verdict.reason}")
    version = versions.settle(paths.PROMOTED, made, verdict)
    link = paths.PROMOTED / versions.CURRENT
    if chosen.json:
        facts = {"promoted": verdict.promote, "current": version or None, "path": str(link)}
        print_json(facts | {"reason": verdict.reason})
    elif verdict.promote:
        print(f"promoted as {version}, {link}: {verdict.reason}")
        if candidate.REPORT in made.files:
            print(f"Its maps of test photos are in {link / candidate.REPORT}")
    else:
        print(f"refused, {link} stays {version}: {verdict.reason}")
        print("The photos stay in the dataset. To promote it nevertheless: adrefine promote --anyway")


def _check_up_to_date() -> None:
    """Refuse while DVC is at work, and a model that was made of other settings or photos.

    Raises:
        UserError: so it is; a DVC that is at work is named.
    """
    from adrefine.dvc_driver import locks, processes

    if busy := locks.holder():
        raise UserError(busy)
    try:
        status = processes.output([sys.executable, "-m", "dvc", "status"])
    except processes.Failed:  # it may have begun in between
        if busy := locks.holder():
            raise UserError(busy) from None
        raise
    if "up to date" not in status:
        raise UserError("models/refined does not match params.yaml and the photos: run `dvc repro` first")
