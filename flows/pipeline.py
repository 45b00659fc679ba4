"""The graph as a Prefect flow: plan, run, publish. DVC alone decides what is up to date.

    python flows/pipeline.py                              # what `dvc repro` would run
    python flows/pipeline.py --strategy osr --lambda 2.0  # the same, after writing these to params.yaml
    python flows/pipeline.py --force                      # every stage again

Started in the project's root. With PREFECT_API_URL it uses the server there, else one of its own.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, get_args

import adrefine.serving.environment  # noqa: F401  # isort: skip  # first, so that Prefect sends nothing anywhere

from adrefine import paths
from adrefine.dvc_driver import graph, preflight, settings, tables
from adrefine.dvc_driver.graph import StageOutcome, direct
from adrefine.dvc_driver.plan import Planned, Standing, plan
from adrefine.dvc_driver.processes import Failed
from adrefine.dvc_driver.repro import Event, Repro
from adrefine.errors import exit_cleanly
from adrefine.io import read_json
from adrefine.params import DetectorName, LayoutName, Positive, StrategyName
from adrefine.report.summary import summary_lines
from adrefine.sections import Share
from adrefine.serving import server


def arguments() -> dict[str, Any]:
    """The command line as parameters of the flow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategy", choices=get_args(StrategyName), help="what removes photos")
    parser.add_argument("--lambda", dest="lambda_", type=float, metavar="λ", help="of the strategy")
    parser.add_argument("--noise", type=float, metavar="LEVEL", help="share of hidden defects, 0 to 1")
    parser.add_argument("--detector", choices=get_args(DetectorName))
    parser.add_argument("--dataset", choices=get_args(LayoutName), help="how the photos are laid out")
    parser.add_argument("--root", help="folder of the photos")
    parser.add_argument("--force", action="store_true", help="run every stage, even if it is up to date")
    return vars(parser.parse_args())


EARLY: Repro | None = None
gc.disable()  # the import of Prefect leaves little to collect: a tenth of its time saved
if __name__ == "__main__":
    CHOSEN = arguments()  # --help and a wrong word need no Prefect
    if all(CHOSEN[name] is None for name in CHOSEN.keys() - {"force"}):
        EARLY = Repro()  # DVC looks at the files while Prefect is imported

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed

gc.enable()


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def look_ahead(dvc: Repro, force: bool) -> tuple[Standing, list[Planned]]:
    """Ask DVC how things stand; log what would run, and why."""
    standing = dvc.standing()
    planned = plan(standing, force)
    for row in planned:
        get_run_logger().info(f"{row.stage}: {row.prospect}{row.why and ', ' + row.why}")
    return standing, planned


@task(cache_policy=NO_CACHE)
def stage(events: Iterator[Event]) -> Any:
    """Follow one stage of `dvc repro` to its end, its lines in the log; what DVC did also names the state.

    Raises:
        Failed: the stage failed; says why.
    """
    first = next(events)
    for event in chain([first], events):
        get_run_logger().info(event.line)
    assert first.what is not None
    return Completed(name=first.what.capitalize())


@task(name="publish", task_run_name="publish", cache_policy=NO_CACHE)
def publish(standing: Standing, planned: list[Planned], outcomes: dict[str, StageOutcome]) -> None:
    """Artifacts: the graph, and where it ran to its end the figures, the removed images and the report."""
    create_markdown_artifact(
        graph.markdown(standing, planned, outcomes), key="graph", description="What each stage did"
    )
    if any(outcome.done == "failed" for outcome in outcomes.values()):
        return
    measured = read_json(paths.REPORTS / "metrics.json")
    report = paths.REPORTS / "report.html"
    create_table_artifact(tables.metrics(measured), key="metrics", description="Before and after cleaning")
    removed = tables.removed(paths.REFINED / paths.MANIFEST)
    shown = f"the first {tables.MOST} of " if len(removed) > tables.MOST else ""
    create_table_artifact(
        removed[: tables.MOST], key="removed", description=f"{shown}{len(removed)} removed images"
    )
    create_link_artifact(
        report.resolve().as_uri(),
        link_text=str(report),
        key="report",
        description=f"In a browser: {report.resolve()}",
    )
    get_run_logger().info("\n".join(summary_lines(measured, report)))


@flow(name="adrefine", log_prints=True)
def pipeline(
    strategy: StrategyName | None = None,
    lambda_: Positive | None = None,
    noise: Share | None = None,
    detector: DetectorName | None = None,
    dataset: LayoutName | None = None,
    root: str | None = None,
    force: bool = False,
) -> None:
    """Bring every stage of the graph up to date, in this folder.

    What is given is written to params.yaml first, as if edited by hand, and stays there; what is not given
    is as params.yaml says. No experiment is made (`dvc exp run`): `dvc repro` moves no commit, so that a
    cancelled run leaves nothing behind but stages that are not done yet.

    Args:
        strategy: what removes photos
        lambda_: λ of the strategy (osr and irp have one)
        noise: share of the training set that is hidden defects; 0 for photos of your own
        detector: the model that is trained
        dataset: how the photos are laid out
        root: folder of the photos
        force: run every stage, even if it is up to date
    """
    changes = settings.choices(strategy, lambda_, noise, detector, dataset, root)
    for key in settings.write(changes):
        get_run_logger().info(f"params.yaml: {key} = {changes[key]}")
    outcomes: dict[str, StageOutcome] = {}
    with EARLY or Repro() as dvc:
        standing, planned = look_ahead(dvc, force)
        try:
            run(dvc, standing, force, outcomes)
        except Failed:
            publish(standing, planned, outcomes)
            raise
    publish(standing, planned, outcomes)


def run(dvc: Repro, standing: Standing, force: bool, outcomes: dict[str, StageOutcome]) -> None:
    """`dvc repro` with a task for each stage; what each did goes to `outcomes` as soon as it is known.

    Raises:
        Failed: a stage failed.
    """
    states: dict[str, Any] = {}
    for name, events in groupby(dvc.events(force), key=lambda event: event.stage):
        if name is None:  # before the first stage
            for event in events:
                get_run_logger().info(event.line)
            continue
        begin, done = time.monotonic(), "failed"
        needed = [states[first] for first, second in direct(standing) if second == name and first in states]
        try:
            states[name] = stage.with_options(name=name, task_run_name=name)(
                events,
                return_state=True,
                wait_for=needed,  # all are done: for the arrows of Prefect's timeline
            )
            states[name].result()
            done = states[name].name.lower()
        finally:
            outcomes[name] = StageOutcome(name, done, time.monotonic() - begin)


def ready() -> None:
    """What is wrong before a server starts is one line."""
    preflight.check_disk(Path())
    server.admit()


if __name__ == "__main__":
    exit_cleanly(ready)
    # The heartbeat would keep the finished run waiting for up to a second; runs that a server starts have it.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        pipeline(**CHOSEN)
