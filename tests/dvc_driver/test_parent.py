"""A stage whose DVC was killed alone writes nothing any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from adrefine.dvc_driver import locks

STAGE = """
import sys, time
from pathlib import Path
from adrefine.runtime import steady
def main():
    Path("at work").write_text("")
    time.sleep(float(sys.argv[2]))
    Path("out").write_text("done")
if sys.argv[1] == "early":
    Path("at work").write_text("")
    time.sleep(float(sys.argv[2]))
steady.run("refine", main)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "stage.py").write_text(STAGE)
    return tmp_path


def graph(project: Path, arguments: str) -> None:
    command = f"{sys.executable} stage.py {arguments}"
    (project / "dvc.yaml").write_text(f"stages:\n  refine:\n    cmd: {command}\n    outs: [out]\n")


def until(true: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    "arguments", ["late 5 adrefine.stages.refine", "late 5 adrefine.stages.refine; true", "early 2"]
)
def test_it_ends_with_its_dvc(project: Path, arguments: str) -> None:
    """Also below a shell that waits for it, and where DVC is gone before it has begun."""
    graph(project, arguments)
    dvc = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project)
    until((project / "at work").exists)
    stages = [one for one in psutil.Process(dvc.pid).children(recursive=True) if "stage.py" in one.cmdline()]
    os.kill(dvc.pid, signal.SIGKILL)
    dvc.wait()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in stages))
    assert stages
    assert not (project / "out").exists()
    (project / "stage.py").write_text(STAGE.replace("float(sys.argv[2])", "0"))
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, check=True)
    assert (project / "out").read_text() == "done"


def test_one_that_a_person_started_goes_on(project: Path) -> None:
    graph(project, "late 0")
    started = "import subprocess, sys; subprocess.Popen([sys.executable, 'stage.py', 'late', '1'])"
    subprocess.run([sys.executable, "-c", started], cwd=project, check=True)
    until((project / "out").exists)


def test_one_that_is_left_is_named_with_its_number(project: Path) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)", "adrefine.stages.refine"]
    with subprocess.Popen(sleeps, cwd=project) as stage:
        try:
            until(lambda: "adrefine.stages.refine" in psutil.Process(stage.pid).cmdline())
            told = str(locks.holder(project))
            assert told.startswith(f"A stage is at work in this folder: process {stage.pid} (")
            assert f"wait until it has ended, or end it (kill {stage.pid})" in told
        finally:
            stage.kill()
    assert locks.holder(project) is None
