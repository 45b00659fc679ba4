"""The flow's own parts, without a server: order, what becomes of a failure, the form, the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self, get_args

import pytest

from adrefine.dvc_driver import preflight
from adrefine.dvc_driver.graph import StageOutcome
from adrefine.dvc_driver.plan import Standing
from adrefine.dvc_driver.processes import Failed
from adrefine.dvc_driver.repro import Event, parse
from adrefine.errors import UserError
from adrefine.params import DetectorName, LayoutName, StrategyName
from adrefine.serving import server
from loaded_flow import Log, loaded

REPOSITORY = Path(__file__).parents[2]
SAID = ["Stage 'a' didn't change, skipping", "Running stage 'b':", "b: done"]
STANDING = Standing(("a", "b", "c"), (("a", "b"), ("b", "c")), frozenset(), {"b": ["changed command"]})


class Dvc:
    """A DVC that says `lines` and then, if `fails`, that it failed."""

    def __init__(self, lines: list[str], fails: bool = False) -> None:
        self.lines, self.fails = lines, fails
        self.forced: list[bool] = []
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True

    def standing(self) -> Standing:
        return STANDING

    def events(self, force: bool) -> Iterator[Event]:
        self.forced.append(force)
        yield from parse(self.lines)
        if self.fails:
            raise Failed(["dvc", "repro"], 255, ["no disk"])


class Plain:
    """The task of a stage called as a plain function; what its states show and what they waited for."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.shown: list[tuple[str, str]] = []
        self.waited: dict[str, list[str]] = {}

    def with_options(self, name: str, task_run_name: str) -> Any:
        def call(events: Iterator[Event], return_state: bool, wait_for: list[Any]) -> Any:
            names = dict(self.shown)
            self.waited[name] = [found for found in names if any(s.for_ == found for s in wait_for)]
            try:
                state = self.function(events)
            except Failed as error:
                return State(name, "Failed", error)
            self.shown.append((task_run_name, state.name))
            return State(name, state.name, None)

        assert name == task_run_name
        return call


@dataclass
class State:
    """A state that knows whose it is."""

    for_: str
    name: str
    error: Exception | None

    def result(self) -> None:
        if self.error:
            raise self.error


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """flows/pipeline.py, loaded as Prefect loads it."""
    with loaded("pipeline", tmp_path_factory.mktemp("prefect")) as module:
        yield module


@pytest.fixture
def log(flow: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Log:
    """The log; the flow runs in a folder with a params.yaml of its own."""
    log = Log()
    monkeypatch.setattr(flow, "get_run_logger", lambda: log)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((REPOSITORY / "params.yaml").read_bytes())
    return log


@pytest.fixture
def published(flow: ModuleType, log: Log, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, StageOutcome]]:
    """What was published; the tasks are plain functions."""
    found: list[dict[str, StageOutcome]] = []
    monkeypatch.setattr(flow, "look_ahead", flow.look_ahead.fn)
    monkeypatch.setattr(flow, "stage", Plain(flow.stage.fn))
    monkeypatch.setattr(flow, "publish", lambda standing, planned, outcomes: found.append(dict(outcomes)))
    return found


def test_plan_then_a_task_a_stage_then_publish(
    flow: ModuleType, log: Log, published: list[dict[str, StageOutcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc = Dvc(["WARNING: before", *SAID, "Stage 'c' is cached - skipping run, checking out outputs"])
    monkeypatch.setattr(flow, "Repro", lambda: dvc)
    flow.pipeline.fn(force=False)
    assert log.lines[:3] == [
        "a: up to date",
        "b: runs, changed command",
        "c: may run, if `b` changes its input",
    ]
    assert log.lines[3:] == dvc.lines
    assert flow.stage.shown == [("a", "Skipped"), ("b", "Ran"), ("c", "Restored")]
    assert flow.stage.waited == {"a": [], "b": ["a"], "c": ["b"]}
    assert {name: one.done for name, one in published[0].items()} == {
        **{"a": "skipped", "b": "ran", "c": "restored"}
    }
    assert dvc.forced == [False]
    assert dvc.ended


def test_after_a_failed_stage_the_graph_is_published_and_the_flow_fails(
    flow: ModuleType, published: list[dict[str, StageOutcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc = Dvc(SAID, fails=True)
    monkeypatch.setattr(flow, "Repro", lambda: dvc)
    with pytest.raises(Failed, match="no disk"):
        flow.pipeline.fn(force=True)
    assert {name: one.done for name, one in published[0].items()} == {"a": "skipped", "b": "failed"}
    assert dvc.forced == [True]
    assert dvc.ended


def test_a_cancel_publishes_nothing_and_ends_dvc(
    flow: ModuleType, log: Log, published: list[dict[str, StageOutcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc = Dvc(SAID)
    monkeypatch.setattr(flow, "Repro", lambda: dvc)

    def info(line: str) -> None:
        if line == "b: done":
            raise KeyboardInterrupt

    monkeypatch.setattr(log, "info", info)
    with pytest.raises(KeyboardInterrupt):
        flow.pipeline.fn()
    assert published == []
    assert dvc.ended


def test_what_was_chosen_is_in_params_yaml_before_dvc_looks(
    flow: ModuleType, log: Log, published: list[dict[str, StageOutcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def repro() -> Dvc:
        seen.append(Path("params.yaml").read_text())
        return Dvc(SAID)

    monkeypatch.setattr(flow, "Repro", repro)
    flow.pipeline.fn(strategy="osr", lambda_=2)
    assert "  strategy: osr " in seen[0]
    assert log.lines[:2] == ["params.yaml: refine.strategy = osr", "params.yaml: osr.lambda = 2.0"]


def test_a_mistake_in_the_settings_fails_the_flow_before_dvc_starts(
    flow: ModuleType, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "Repro", lambda: pytest.fail("started"))
    Path("params.yaml").write_text("noize: {}\n")
    with pytest.raises(UserError, match="unknown key `noize`"):
        flow.pipeline.fn()


def test_the_form_offers_what_the_settings_allow(flow: ModuleType) -> None:
    form = flow.pipeline.parameters.model_dump()["properties"]
    optional = {name: field["anyOf"][0] for name, field in form.items() if "anyOf" in field}
    assert optional["strategy"]["enum"] == list(get_args(StrategyName))
    assert optional["detector"]["enum"] == list(get_args(DetectorName))
    assert optional["dataset"]["enum"] == list(get_args(LayoutName))
    assert (optional["noise"]["minimum"], optional["noise"]["maximum"]) == (0, 1)
    assert optional["lambda_"]["exclusiveMinimum"] == 0
    assert optional["root"]["type"] == "string"
    assert form["force"]["type"] == "boolean"
    assert all(field.get("default") in (None, False) for field in form.values())
    assert all(field["description"] for field in form.values())


def test_the_command_line_offers_the_same(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pipeline.py"])
    assert flow.arguments() == dict.fromkeys(flow.pipeline.parameters.properties) | {"force": False}
    monkeypatch.setattr(sys, "argv", ["pipeline.py", "--strategy", "osr", "--lambda", "2", "--force"])
    assert {name: value for name, value in flow.arguments().items() if value} == {
        **{"strategy": "osr", "lambda_": 2.0, "force": True}
    }


def test_prefect_is_told_to_send_nothing(tmp_path: Path) -> None:
    """prefect.toml is read by every Prefect program that starts in the project's folder; a flow also tells
    Prefect itself, for servers that are started elsewhere."""
    ask = (
        "from prefect.settings import get_current_settings as s; "
        "print(s().server.analytics_enabled, s().server.ephemeral.startup_timeout_seconds); "
        "import sys; sys.path.insert(0, 'flows'); import pipeline; "
        "from prefect._internal.analytics import is_telemetry_enabled; print(is_telemetry_enabled())"
    )
    outside = ("PREFECT_", "DO_NOT_TRACK", "CI")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(outside)}
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=REPOSITORY,
        env=clean | {"PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "120", "False"]


def test_a_full_disk_is_told_before_a_server_starts(
    flow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []
    monkeypatch.setattr(server, "admit", lambda: started.append(True))
    monkeypatch.setattr(preflight, "ROOM", 2**62)
    with pytest.raises(UserError, match="left on its disk: make room first"):
        flow.ready()
    assert started == []
