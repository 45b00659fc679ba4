"""The sweep flow's tasks and command line, with stand-ins for what runs; no server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from adrefine.dvc_driver.processes import Failed
from adrefine.errors import UserError
from adrefine.sweeps import experiments, overrides, planning
from adrefine.sweeps.isolated import Source
from loaded_flow import Log, loaded

ROOT = Path(__file__).parents[2]
BASE = yaml.safe_load((ROOT / "params.yaml").read_text())
STEPS = planning.ordered(experiments.plan(BASE, overrides.read(["refine.strategy=osr,irp"])))
SOURCE = Source("/project", "0" * 40, Path("/cache"), Path("/side"))


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """flows/sweep.py; the variables that it sets are gone afterwards."""
    with loaded("sweep", tmp_path_factory.mktemp("prefect")) as module:
        yield module


@pytest.fixture
def log(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(flow, "get_run_logger", lambda: log)
    return log


def runs(lines: list[str], error: Exception | None = None) -> Any:
    """In place of `isolated.run`."""

    def run(*arguments: Any) -> Generator[str]:
        yield from lines
        if error:
            raise error

    return run


def test_the_lines_of_a_run_are_logged_without_the_routine(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        flow.isolated, "run", runs(["Running stage 'refine':", "refine:  25%|██▌ | 1/4", "done"])
    )
    progress = flow.Progress(planning.Slots([]))
    assert flow.run_experiment.fn(STEPS[0], SOURCE, tmp_path, progress) is None
    assert log.lines == ["Running stage 'refine':", "done"]


def test_a_failed_run_is_a_failed_task_with_what_the_stage_said(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Failed(["dvc"], 255, ["adrefine: error: too few photos", "ERROR: failed to reproduce 'ingest'"])
    monkeypatch.setattr(flow.isolated, "run", runs(["a"], error))
    progress = flow.Progress(planning.Slots(["0"]))
    state = flow.run_experiment.fn(STEPS[0], SOURCE, tmp_path, progress)
    assert state.is_failed()
    assert state.message == "too few photos"
    assert flow.run_experiment.fn(
        STEPS[1], SOURCE, tmp_path, progress
    ).is_failed()  # slot and leader are free


def test_a_follower_waits_until_its_leader_has_done_what_they_share(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow.isolated, "run", runs(["follower"]))
    progress = flow.Progress(planning.Slots([]))
    arguments = (STEPS[1], SOURCE, tmp_path, progress)
    follower = threading.Thread(target=flow.run_experiment.fn, args=arguments, daemon=True)
    follower.start()
    for stage in ("ingest", "train"):
        progress.reach("osr", stage)
    progress.reach("another", "refine")
    follower.join(0.2)
    assert follower.is_alive()
    progress.reach("osr", "refine")
    follower.join(5)
    assert log.lines == ["follower"]


def test_who_waits_does_not_start_after_a_stop(flow: ModuleType, log: Log, tmp_path: Path) -> None:
    progress = flow.Progress(planning.Slots([]))
    progress.stop()
    assert flow.run_experiment.fn(STEPS[0], SOURCE, tmp_path, progress).is_cancelled()


def test_a_run_that_is_going_on_ends_at_a_stop(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = flow.Progress(planning.Slots([]))
    ended = []

    def run(*arguments: Any) -> Generator[str]:
        try:
            yield "first"
            progress.stop()
            yield "second"
            yield "third"
        finally:
            ended.append(True)

    monkeypatch.setattr(flow.isolated, "run", run)
    assert flow.run_experiment.fn(STEPS[0], SOURCE, tmp_path, progress).is_cancelled()
    assert log.lines == ["first"]
    assert ended == [True]


@pytest.fixture
def published(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What goes to Prefect as artifacts."""
    kept: dict[str, Any] = {}
    monkeypatch.setattr(
        flow, "create_table_artifact", lambda table, key, description: kept.update(table=table)
    )
    monkeypatch.setattr(flow, "create_markdown_artifact", lambda text, key: kept.update(text=text))
    return kept


def found(**figures: float) -> dict[str, experiments.Result]:
    return {
        step.experiment.name: experiments.Result(
            step.experiment.name,
            step.experiment.settings,
            {"after": figures[step.experiment.name]},
        )
        for step in STEPS
        if step.experiment.name in figures
    }


def test_the_end_is_a_table_and_the_best_with_the_warning(
    flow: ModuleType, published: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    best = flow._publish([step.experiment for step in STEPS], found(osr=0.9, irp=0.95), {})
    assert best == ["`irp`: test AUROC 0.950, best of 2 on the same photos and noise"]
    assert [row["experiment"] for row in published["table"]] == ["osr", "irp"]
    for text in (capsys.readouterr().out, published["text"]):
        assert best[0] in text
        assert planning.ON_TEST_PHOTOS in text


def test_what_failed_is_listed_and_fails_the_sweep_after_the_rest(
    flow: ModuleType, published: dict[str, Any]
) -> None:
    state = flow._publish([step.experiment for step in STEPS], found(osr=0.9), {"irp": "too few photos"})
    assert state.is_failed()
    assert state.message == "1 of 2 experiments failed:\n  irp: too few photos"
    assert "failed: irp: too few photos" in published["text"]
    assert [row["experiment"] for row in published["table"]] == ["osr"]


@pytest.fixture
def command(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The command line on a project whose experiment `osr` is done; what it starts."""
    started: dict[str, Any] = {}

    class Completed:
        message, name = "", "Completed"

        def is_completed(self) -> bool:
            return True

    def start(*arguments: Any, return_state: bool) -> Completed:
        started["arguments"] = arguments
        return Completed()

    monkeypatch.setattr(flow, "run_sweep", start)
    monkeypatch.setattr(flow.project, "commit", lambda root: "0" * 40)
    monkeypatch.setattr(flow.project, "settings", lambda root, commit: BASE)
    monkeypatch.setattr(flow.experiments, "results", lambda root, commit: found(osr=0.9))
    return started


def test_the_command_line_becomes_parameters(
    flow: ModuleType, command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["sweep.py", "refine.strategy=osr,irp", "--parallel", "2", "--gpus", "0,3"]
    )
    flow.main()
    wanted = [{"refine.strategy": "osr"}, {"refine.strategy": "irp"}]
    assert command["arguments"] == (wanted, 2, ["0", "3"], None)


def test_a_dry_run_says_what_is_done_and_starts_nothing(
    flow: ModuleType,
    command: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["sweep.py", "refine.strategy=osr,irp", "--dry-run"])
    flow.main()
    assert capsys.readouterr().out.splitlines() == ["done   osr", "to do  irp"]
    assert command == {}


def test_a_mistake_is_told_before_anything_starts(
    flow: ModuleType, command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sweep.py", "refine.strateg=osr"])
    with pytest.raises(UserError, match=r"unknown key `refine\.strateg`"):
        flow.main()
    assert command == {}
