"""New photos: take them from the inbox, bring the graph up to date, promote the model if it is no worse.

    python flows/inbox.py    # once, now; `make serve` does it whenever photos arrive

Killed at any moment, the next run goes on: photos in the dataset that nobody has decided about yet are
remembered in promoted/undecided.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

import adrefine.serving.environment  # noqa: F401  # isort: skip  # first, so that Prefect sends nothing anywhere

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from adrefine import datasets, params, paths
from adrefine.datasets.formats import SUFFIXES
from adrefine.dvc_driver import preflight
from adrefine.dvc_driver.processes import stream
from adrefine.dvc_driver.repro import events
from adrefine.errors import exit_cleanly
from adrefine.serving import intake, promotion, server, versions
from adrefine.text import harmless


@task(cache_policy=NO_CACHE, name="take photos")
def take(settings: params.Params, seen: intake.Seen) -> int:
    """Move the complete photos of the inbox into the dataset: how many were new.

    Args:
        seen: the inbox a moment ago.
    """
    folder, arrivals = Path(settings.inbox.folder), datasets.arrivals(settings.dataset)
    time.sleep(settings.inbox.settle)
    taken = intake.take(
        folder,
        intake.settled(seen, intake.look(folder)),
        datasets.locate(settings.dataset),
        arrivals,
        paths.PROMOTED / versions.UNDECIDED,
        settings.dataset.max_megapixels,
    )
    for line in taken.lines():
        get_run_logger().info(line)
    return len(taken.new)


@task(cache_policy=NO_CACHE, name="dvc repro")
def reproduce() -> None:
    """Bring the graph up to date; only the new photos are decoded and embedded.

    Raises:
        Failed: a stage failed; says which, and why.
    """
    with closing(events()) as lines:
        for event in lines:
            get_run_logger().info(event.line)


@task(cache_policy=NO_CACHE)
def promote() -> str:
    """Promote the new model and dataset or say why not: the line of `adrefine promote` that tells.

    Raises:
        Failed: nothing can be decided; says why.
    """
    with closing(stream([sys.executable, "-m", "adrefine.cli", "promote"])) as lines:
        said = [line for line in lines if line]
    for line in said:
        get_run_logger().info(line)
    return next(line for line in said if line.startswith(("promoted", "refused")))


@flow(name="adrefine-inbox")
def inbox() -> str:
    """Take new photos, learn from them, and promote the model and the dataset if they are no worse."""
    settings = params.load()
    promotion.refuse_hidden(settings.noise)
    folder, arrivals = Path(settings.inbox.folder), datasets.arrivals(settings.dataset)
    images = Path(settings.pretrain_pdn.images)
    intake.check_folders(folder, datasets.locate(settings.dataset), images=images)
    undecided = paths.PROMOTED / versions.UNDECIDED
    seen = intake.look(folder)
    if not seen and not undecided.exists():
        return f"{folder} holds no new photo"
    if (
        versions.current(paths.PROMOTED) is None
        and not undecided.exists()
        and intake.look(arrivals, SUFFIXES)
    ):
        get_run_logger().info("Nothing is promoted yet: first the model without the new photos")
        reproduce()
        promote()
    if not (take(settings, seen) if seen else 0) and not undecided.exists():
        return "no photo was taken: the log of `take photos` says why"
    reproduce()
    said = promote()
    create_table_artifact(
        key="promotions",
        table=[
            {key: harmless(cell) for key, cell in line.items()}
            for line in versions.history(paths.PROMOTED)[::-1]
        ],
        description=f"**{harmless(said)}**\n\nEvery decision, newest first "
        f"(`{paths.PROMOTED / versions.HISTORY}`).",
    )
    return said


def main() -> None:
    """One run, now."""
    preflight.check_disk(Path())
    server.admit()
    print(inbox())


if __name__ == "__main__":
    exit_cleanly(main)
