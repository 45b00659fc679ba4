"""Experiments on other machines: submitted, watched, and submitted again when the machine is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from adrefine.sweeps.experiments import Experiment
from adrefine.sweeps.planning import Step

Phase = Literal["waiting", "starting", "running", "completed", "failed", "lost", "cancelled"]
TRIES = 3  # most submissions of one experiment
MISSED = 3.5  # a running run counts as lost after that many times the seconds between its signs of life
STARTING = 600.0  # seconds that it may take to start
POLL = 3.0


@dataclass(frozen=True)
class Sight:
    """A run as last seen: its phase, seconds since its last sign of life, and why it is not well."""

    phase: Phase
    silent: float = 0.0
    reason: str = ""


class Cluster(Protocol):
    """What carries runs to machines. `heartbeat`: seconds between two signs of life of a run."""

    heartbeat: float

    def submit(self, experiment: Experiment) -> str:
        """Hand in a run, or find one of this experiment that is still going on; its id."""

    def see(self, run: str) -> Sight: ...

    def lose(self, run: str, reason: str) -> None:
        """Note that nothing more is expected of the run."""

    def cancel(self, run: str) -> None: ...


@dataclass
class _Watch:
    """The state of one `run`."""

    steps: list[Step]
    open: dict[str, str] = field(default_factory=dict)  # experiment → run
    tries: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


def run(
    steps: Iterable[Step],
    cluster: Cluster,
    log: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, str]:
    """Run all steps on the cluster; why those that failed did.

    A step is submitted when its leader has ended: what they share then comes from the remote's run cache.
    Stopped by an exception, it cancels the runs that are going on.
    """
    watch = _Watch(list(steps))
    try:
        while len(watch.ended) < len(watch.steps):
            for step in watch.steps:
                name = step.experiment.name
                if name in watch.open:
                    _look(watch, step.experiment, cluster, log)
                elif name not in watch.ended and (not step.leader or step.leader in watch.ended):
                    _submit(watch, step.experiment, cluster, log)
            if len(watch.ended) < len(watch.steps):
                sleep(POLL)
    except BaseException:
        for run_id in watch.open.values():
            cluster.cancel(run_id)
        raise
    return watch.failed


def _submit(watch: _Watch, experiment: Experiment, cluster: Cluster, log: Callable[[str], None]) -> None:
    watch.tries[experiment.name] = watch.tries.get(experiment.name, 0) + 1
    watch.open[experiment.name] = cluster.submit(experiment)
    log(f"{experiment.name}: submitted")


def _look(watch: _Watch, experiment: Experiment, cluster: Cluster, log: Callable[[str], None]) -> None:
    """See how the run of an experiment does, and act on it."""
    name = experiment.name
    sight = cluster.see(watch.open[name])
    limit = {"starting": STARTING, "running": MISSED * cluster.heartbeat}
    if sight.phase in limit and sight.silent > limit[sight.phase]:
        reason = f"no sign of life for {sight.silent:.0f} s: its worker is gone"
        cluster.lose(watch.open[name], reason)
        sight = Sight("lost", reason=reason)
    if sight.phase in ("waiting", "starting", "running"):
        return
    del watch.open[name]
    if sight.phase == "lost" and watch.tries[name] < TRIES:
        log(f"{name}: {sight.reason}; submitted again")
        _submit(watch, experiment, cluster, log)
        return
    watch.ended.add(name)
    if sight.phase == "completed":
        log(f"{name}: done")
    else:
        watch.failed[name] = sight.reason or sight.phase
        log(f"{name}: {sight.phase}: {watch.failed[name]}")
