"""Many experiments of the graph, each an isolated `dvc exp run`, as a Prefect flow.

python flows/sweep.py refine.strategy=osr,irp,consensus noise.level=0.1,0.3   # every combination
python flows/sweep.py sweep.yaml --parallel 2                                 # `grid:` or `list:` in a file
python flows/sweep.py refine.strategy=osr,irp --pool adrefine                 # on the workers of a pool

What is done is skipped: stopped at any moment, the same command goes on. Results: `dvc exp show`.
"""

from __future__ import annotations

import argparse
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import adrefine.serving.environment  # noqa: F401  # isort: skip  # first, so that Prefect sends nothing anywhere

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from adrefine.errors import UserError, exit_cleanly
from adrefine.serving import server
from adrefine.sweeps import experiments, isolated, machines, overrides, planning, project
from adrefine.sweeps.planning import Slots, Step

_END = "the end"


class Stopped(Exception):
    """The sweep was stopped; nothing more is to start."""


class Progress:
    """Which stages the running experiments have reached, for those that wait; and whether to stop."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._reached: dict[str, set[str]] = defaultdict(set)
        self._stopped = False
        self._changed = threading.Condition()

    def reach(self, name: str, stage: str) -> None:
        with self._changed:
            self._reached[name].add(stage)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_for_leader(self, step: Step) -> None:
        """Until the leader has done what `step` shares with it, or has ended in whatever way.

        Raises:
            Stopped: the sweep was stopped.
        """
        with self._changed:
            if step.leader:
                enough = {step.until, _END}
                self._changed.wait_for(lambda: self._stopped or enough & self._reached[step.leader])
        self.go_on()

    def go_on(self) -> None:
        """Raises Stopped if the sweep was stopped."""
        if self._stopped:
            raise Stopped


@task(cache_policy=NO_CACHE, task_run_name="{step.experiment.name}")
def run_experiment(step: Step, source: isolated.Source, folder: Path, progress: Progress) -> State | None:
    """Run one experiment in a clone of its own; its lines go to the task log as they come."""
    logger, name = get_run_logger(), step.experiment.name
    try:
        progress.wait_for_leader(step)
        with progress.slots.taken() as environment:
            progress.go_on()  # it may have waited long for a GPU
            with closing(isolated.run(source, step.experiment, folder / name, environment)) as lines:
                for line in lines:
                    progress.go_on()
                    if stage := planning.reached(line):
                        progress.reach(name, stage)
                    if planning.worth_reading(line):
                        logger.info(line)
    except Stopped:
        return Cancelled(message="the sweep was stopped")
    except UserError as error:
        return Failed(message=planning.reason(error))
    finally:
        progress.reach(name, _END)
    return None


@flow(name="adrefine-sweep", log_prints=True)
def run_sweep(
    wanted: list[dict[str, Any]],
    parallel: int | None = None,
    gpus: list[str] | None = None,
    pool: str | None = None,
) -> State | list[str]:
    """Run the experiments that are not done yet, show all of them, and name the best.

    Args:
        wanted: the overrides of each experiment: dotted keys of params.yaml and their values.
        parallel: most runs at a time; default: as many as there are GPUs, or 1.
        gpus: GPUs to use, each by one run at a time; default: all of this machine.
        pool: Prefect work pool whose workers run them, instead of this machine.

    Returns:
        The lines that name the best; a failed state if an experiment failed.
    """
    root = Path.cwd()
    revision = project.commit(root)
    planned = experiments.plan(project.settings(root, revision), wanted)
    with project.claimed(root) as folder:
        if pool:
            project.fetch(root, revision)
        finished = experiments.done(planned, experiments.results(root, revision))
        steps = planning.ordered(e for e in planned if e.name not in finished)
        print(f"{len(planned)} experiments of commit {revision[:8]}, {len(finished)} of them done before")
        if pool:
            failed = _run_there(steps, root, revision, pool)
        else:
            failed = _run_here(steps, root, revision, folder, parallel, gpus)
    results = experiments.results(root, revision)
    finished = experiments.done(planned, results)
    reasons = {
        experiment.name: failed.get(experiment.name, "it ended without a result")
        for experiment in planned
        if experiment.name not in finished  # a run that was taken for lost may have ended well after all
    }
    return _publish(planned, {name: results[name] for name in finished}, reasons)


def _run_here(
    steps: list[Step],
    root: Path,
    revision: str,
    folder: Path,
    parallel: int | None,
    gpus: list[str] | None,
) -> dict[str, str]:
    """Run the steps on this machine; why those that failed did."""
    slots = Slots(planning.gpus() if gpus is None else gpus)
    source, progress = project.source(root, revision), Progress(slots)
    failed: dict[str, str] = {}
    with ThreadPoolTaskRunner(max_workers=parallel or slots.count or 1) as runner:
        try:
            shared = {"source": source, "folder": folder, "progress": progress}
            futures = [(step, runner.submit(run_experiment, {"step": step, **shared})) for step in steps]
            for step, future in futures:
                future.wait()
                if not future.state.is_completed():
                    failed[step.experiment.name] = future.state.message or future.state.name
        except BaseException:  # cancelled: the runner waits for its threads, and they for what they started
            progress.stop()
            isolated.end_all(folder)
            raise
    return failed


def _run_there(steps: list[Step], root: Path, revision: str, pool: str) -> dict[str, str]:
    """Run the steps on the workers of a pool and fetch the experiments; why those that failed did."""
    from pool import Pool, repository

    cluster = Pool(pool, repository(root, revision), revision)
    failed = machines.run(steps, cluster, print)
    project.fetch(root, revision)
    return failed


def _publish(
    planned: list[experiments.Experiment], results: dict[str, experiments.Result], failed: dict[str, str]
) -> State | list[str]:
    """Print the table and who is best, put both into Prefect; a failed state if an experiment failed."""
    rows, best = planning.table(planned, results), planning.best(planned, results)
    failures = [f"{name}: {reason}" for name, reason in failed.items()]
    print("\n".join(["", planning.markdown(rows), "", *best, *([planning.ON_TEST_PHOTOS] if best else [])]))
    if rows:
        create_table_artifact(rows, key="sweep", description="The experiments, as `dvc exp show` has them")
    text = "\n".join(f"- {line}" for line in [*best, *(f"failed: {line}" for line in failures)])
    create_markdown_artifact(f"{text}\n\n{planning.ON_TEST_PHOTOS if best else ''}", key="sweep-best")
    if failures:
        reasons = "\n  ".join(failures)
        return Failed(message=f"{len(failures)} of {len(planned)} experiments failed:\n  {reasons}")
    return best


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        nargs="+",
        metavar="KEY=VALUE,VALUE | FILE.yaml",
        help="settings of params.yaml with the values to combine, or a file with `grid:` or `list:`",
    )
    parser.add_argument("--parallel", type=int, help="most runs at a time; default: one a GPU, or 1")
    parser.add_argument(
        "--gpus", type=lambda text: text.split(","), help="such as 0,1: one run on each; default: all"
    )
    parser.add_argument("--pool", help="Prefect work pool whose workers run the experiments")
    parser.add_argument("--dry-run", action="store_true", help="list the experiments; run nothing")
    chosen = parser.parse_args()
    if chosen.parallel is not None and chosen.parallel < 1:
        parser.error("--parallel must be at least 1")
    wanted = overrides.read(chosen.what)
    root = Path.cwd()
    revision = project.commit(root)  # mistakes are told before a server starts
    planned = experiments.plan(project.settings(root, revision), wanted)
    if chosen.dry_run:
        finished = experiments.done(planned, experiments.results(root, revision))
        print("\n".join(f"{'done' if e.name in finished else 'to do':6} {e.name}" for e in planned))
        return
    server.admit()
    state = run_sweep(
        [e.overrides for e in planned], chosen.parallel, chosen.gpus, chosen.pool, return_state=True
    )
    if not state.is_completed():
        raise UserError(state.message or state.name)


if __name__ == "__main__":
    exit_cleanly(main)
