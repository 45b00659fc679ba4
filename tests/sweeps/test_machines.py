"""Experiments on a made-up cluster, whose machines do what the test says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from adrefine.sweeps import experiments, machines, overrides, planning
from adrefine.sweeps.experiments import Experiment
from adrefine.sweeps.machines import Sight

BASE = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
DONE = Sight("completed")


class MadeUp:
    """A cluster. `course`: for each experiment what is seen of its runs, one list a submission."""

    def __init__(self, course: dict[str, list[list[Sight]]]) -> None:
        self.course = {name: [list(sights) for sights in runs] for name, runs in course.items()}
        self.heartbeat = 30.0
        self.events: list[str] = []
        self.going: dict[str, list[Sight]] = {}

    def submit(self, experiment: Experiment) -> str:
        self.events.append(f"submit {experiment.name}")
        run = f"{experiment.name}#{len(self.events)}"
        self.going[run] = self.course.get(experiment.name, [[DONE]]).pop(0)
        return run

    def see(self, run: str) -> Sight:
        sight = self.going[run].pop(0)
        if sight.phase == "completed":
            self.events.append(f"done {run.split('#')[0]}")
        return sight

    def lose(self, run: str, reason: str) -> None:
        self.events.append(f"lose {run.split('#')[0]}")

    def cancel(self, run: str) -> None:
        self.events.append(f"cancel {run.split('#')[0]}")


def run(cluster: MadeUp, *arguments: str) -> dict[str, str]:
    steps = planning.ordered(experiments.plan(BASE, overrides.read(arguments)))
    return machines.run(steps, cluster, lambda line: None, sleep=lambda seconds: None)


def test_followers_are_submitted_when_their_leader_has_ended() -> None:
    cluster = MadeUp({"osr": [[Sight("waiting"), Sight("starting", 5), Sight("running", 9), DONE]]})
    assert run(cluster, "refine.strategy=osr,irp,mad") == {}
    assert cluster.events[:2] == ["submit osr", "done osr"]
    assert sorted(cluster.events[2:]) == ["done irp", "done mad", "submit irp", "submit mad"]


def test_a_run_without_a_sign_of_life_is_lost_and_submitted_again() -> None:
    cluster = MadeUp({"osr": [[Sight("running", 20), Sight("running", 200)], [DONE]]})
    assert run(cluster, "refine.strategy=osr") == {}
    assert cluster.events == ["submit osr", "lose osr", "submit osr", "done osr"]


def test_how_long_a_silence_is_allowed_depends_on_the_heartbeat() -> None:
    cluster = MadeUp({"osr": [[Sight("running", 200), DONE]]})
    cluster.heartbeat = 180.0
    assert run(cluster, "refine.strategy=osr") == {}
    assert "lose osr" not in cluster.events


def test_a_run_may_be_silent_longer_while_it_starts() -> None:
    cluster = MadeUp({"osr": [[Sight("starting", 200), DONE]]})
    assert run(cluster, "refine.strategy=osr") == {}
    assert "lose osr" not in cluster.events


def test_nobody_is_lost_while_no_worker_is_free() -> None:
    cluster = MadeUp({"osr": [[Sight("waiting", 9999), DONE]]})
    assert run(cluster, "refine.strategy=osr") == {}
    assert cluster.events == ["submit osr", "done osr"]


def test_who_is_lost_too_often_has_failed_and_the_others_go_on() -> None:
    cluster = MadeUp({"osr": [[Sight("lost", reason="killed")]] * machines.TRIES})
    assert run(cluster, "refine.strategy=osr,irp") == {"osr": "killed"}
    assert cluster.events.count("submit osr") == machines.TRIES
    assert cluster.events[-1] == "done irp"


@pytest.mark.parametrize("phase", ["failed", "cancelled"])
def test_what_failed_or_was_cancelled_is_not_tried_again(phase: machines.Phase) -> None:
    cluster = MadeUp({"osr": [[Sight(phase, reason="too few photos")]]})
    assert run(cluster, "refine.strategy=osr,irp") == {"osr": "too few photos"}
    assert cluster.events.count("submit osr") == 1
    assert cluster.events[-1] == "done irp"


def test_a_stop_cancels_what_is_going_on() -> None:
    cluster = MadeUp({name: [[Sight("running")] * 9] for name in ("dataset.seed1", "dataset.seed2")})

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    steps = planning.ordered(experiments.plan(BASE, overrides.read(["dataset.seed=1,2"])))
    with pytest.raises(KeyboardInterrupt):
        machines.run(steps, cluster, lambda line: None, sleep=stop)
    assert cluster.events[-2:] == ["cancel dataset.seed1", "cancel dataset.seed2"]
