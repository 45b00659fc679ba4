"""A sweep killed half-way and started again ends in the experiments that DVC alone makes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from adrefine.sweeps.experiments import parse_show
from adrefine.sweeps.project import RUNS
from pipeline.project import Project, Run
from prefect_server import Server

pytestmark = pytest.mark.pipeline
STRATEGIES = ("osr", "vanilla")


def test_a_killed_sweep_goes_on_and_ends_as_dvc_alone(ready: Project, tmp_path: Path, server: Server) -> None:
    ready.repro()
    alone, swept = _copy(ready, tmp_path / "alone"), _copy(ready, tmp_path / "swept").cold
    for strategy in STRATEGIES:
        _dvc(alone, "exp", "run", "--name", strategy, "-S", f"refine.strategy={strategy}")

    command = [sys.executable, "flows/sweep.py", f"refine.strategy={','.join(STRATEGIES)}"]
    environment = swept.environment() | server.variables
    sweep = subprocess.Popen(command, cwd=swept.root, env=environment, stdout=subprocess.DEVNULL)
    runs = swept.root / RUNS
    _wait(lambda: sweep.poll() is not None or _stage_runs_in(runs / STRATEGIES[1]))
    assert sweep.poll() is None, "it ended before it was killed"
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    assert _stage_runs_in(runs / STRATEGIES[1])  # its program lives on: the next sweep ends it
    assert set(_experiments(swept)) == {STRATEGIES[0]}

    done = subprocess.run(command, cwd=swept.root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 experiments of commit" in done.stdout + done.stderr
    assert "1 of them done before" in done.stdout + done.stderr
    assert not list(runs.iterdir())
    assert _experiments(swept) == _experiments(alone)
    assert swept.git("status", "--porcelain") == ready.git("status", "--porcelain")


def _copy(original: Project, root: Path) -> Project:
    shutil.copytree(original.root, root, symlinks=True)
    return Project(root, original.warm)


def _dvc(copy: Project, *arguments: str) -> Run:
    run = copy.run("dvc", *arguments)
    assert run.code == 0, run.out + run.err
    return run


def _experiments(copy: Project) -> dict[str, tuple[Any, Any, str]]:
    """Settings and metrics of each experiment, and the hashes of all that its stages read and wrote."""
    found = parse_show(_dvc(copy, "exp", "show", "--json").out)
    refs = copy.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    refs = [ref for ref in refs if "/exec/" not in ref]
    assert sorted(ref.split("/")[-1] for ref in refs) == sorted(found)
    return {
        ref.split("/")[-1]: (
            found[ref.split("/")[-1]].settings,
            json.dumps(found[ref.split("/")[-1]].metrics),
            copy.git("show", f"{ref}:dvc.lock"),
        )
        for ref in refs
    }


def _stage_runs_in(folder: Path) -> bool:
    """Whether a stage is at work in that clone."""
    for process in psutil.process_iter(["cwd", "cmdline"]):
        here = process.info["cwd"] == str(folder)
        if here and "adrefine.stages" in " ".join(process.info["cmdline"] or []):
            return True
    return False


def _wait(condition: Any) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
