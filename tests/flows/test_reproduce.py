"""The Prefect tasks, with stand-ins for the programs that they start; no server."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest

FLOW = Path(__file__).parents[2] / "flows" / "pipeline.py"


class Log:
    """What a task logged, in place of Prefect's logger, which exists in a run only."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        self.lines.append(line)


class Cancelled(BaseException):
    pass


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """flows/pipeline.py; the variables that it sets are gone afterwards."""
    spec = importlib.util.spec_from_file_location("prefect_pipeline", FLOW)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(os.environ, PREFECT_HOME=str(tmp_path_factory.mktemp("prefect"))):
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def log(flow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(flow, "get_run_logger", lambda: log)
    return log


def install(name: str, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of that name first in PATH; it runs in `folder`."""
    program = folder / name
    program.write_text(f"#!/bin/sh\ncd '{folder}'\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_lines_of_both_streams_are_logged_in_order(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo '  Running stage a:  '; echo; echo 'WARNING: slow' >&2; printf 'no newline at the end'"
    install("dvc", script, tmp_path, monkeypatch)
    assert flow.reproduce.fn() is None
    assert log.lines == ["Running stage a:", "WARNING: slow", "no newline at the end"]


@pytest.mark.parametrize(("force", "arguments"), [(False, "repro"), (True, "repro --force")])
def test_force_is_passed_on(
    flow: ModuleType,
    log: Log,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    force: bool,
    arguments: str,
) -> None:
    install("dvc", 'echo "$@"', tmp_path, monkeypatch)
    flow.reproduce.fn(force)
    assert log.lines == [arguments]


def test_a_failed_stage_fails_the_task_and_the_log_says_why(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("dvc", "echo 'ERROR: failed to reproduce train' >&2; exit 255", tmp_path, monkeypatch)
    with pytest.raises(RuntimeError, match="dvc repro failed"):
        flow.reproduce.fn()
    assert log.lines == ["ERROR: failed to reproduce train"]


def test_a_cancel_ends_the_stage_too(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("dvc", "(sleep 1; touch late) & echo started; sleep 60", tmp_path, monkeypatch)

    def cancel(line: str) -> None:
        raise Cancelled(line)

    monkeypatch.setattr(log, "info", cancel)
    begin = time.monotonic()
    with pytest.raises(Cancelled, match="started"):
        flow.reproduce.fn()
    assert time.monotonic() - begin < 30
    time.sleep(1.3)
    assert not (tmp_path / "late").exists()


def test_the_check_comes_first_and_its_line_is_logged(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("adrefine", 'echo "$@: params.yaml is sound"', tmp_path, monkeypatch)
    flow.check.fn()
    assert log.lines == ["check: params.yaml is sound"]
    order: list[str] = []
    for name in ("check", "reproduce", "summarize"):
        monkeypatch.setattr(flow, name, lambda *_, name=name: order.append(name))
    flow.pipeline.fn()
    assert order == ["check", "reproduce", "summarize"]


def test_a_mistake_in_the_settings_fails_the_flow_before_anything_runs(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("adrefine", "echo 'adrefine: error: unknown key `noize`' >&2; exit 2", tmp_path, monkeypatch)
    install("dvc", "touch ran", tmp_path, monkeypatch)
    monkeypatch.setattr(flow, "check", flow.check.fn)
    monkeypatch.setattr(flow, "reproduce", flow.reproduce.fn)
    with pytest.raises(RuntimeError, match=r"^adrefine: error: unknown key `noize`$"):
        flow.pipeline.fn()
    assert not (tmp_path / "ran").exists()


def test_the_summary_is_logged_and_returned(
    flow: ModuleType, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("adrefine", "echo \"$@: 12 photos removed\"; echo 'AUROC .97'", tmp_path, monkeypatch)
    assert flow.summarize.fn() == "summary: 12 photos removed\nAUROC .97\n"
    assert log.lines == ["summary: 12 photos removed\nAUROC .97\n"]
