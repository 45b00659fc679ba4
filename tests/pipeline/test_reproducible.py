"""The same commit and settings give the same bytes: again, elsewhere, and after being killed."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
import yaml

from pipeline.project import STAGES, Project, Run

pytestmark = pytest.mark.pipeline

SECONDS = {
    "ingest": 0.8,
    "synthesize": 1.5,
    "embed": 3,
    "pretrain_pdn": 3,
    "train": 3,
    "refine": 4,
    "evaluate": 4,
}


def test_from_nothing_everything_runs(first: tuple[Project, Run, str]) -> None:
    assert first[1].ran == set(STAGES)
    written = yaml.safe_load(first[2])["stages"]
    assert set(written) == set(STAGES)
    assert all(out["md5"] for stage in written.values() for out in stage["outs"])


def test_forced_again_gives_the_same_lock(ready: Project, first: tuple[Project, Run, str]) -> None:
    ready.repro()
    run = ready.repro("-f")
    assert run.ran == set(STAGES)
    assert yaml.safe_load(ready.lock) == yaml.safe_load(first[2])


def test_killed_again_and_again_gives_the_same_lock(fresh: Project, first: tuple[Project, Run, str]) -> None:
    """From nothing, in another folder with other caches, killed once in (or right after) every long stage;
    all in processes of their own, where the first run's were forked."""
    rng = random.Random(2)
    killed = [stage for stage, most in SECONDS.items() if _kill_in(fresh, stage, rng.uniform(0.05, most))]
    assert len(killed) >= len(SECONDS) - 1, killed  # a delay may reach into the next stage
    end = fresh.cold.repro()
    assert end.ran
    assert yaml.safe_load(fresh.lock) == yaml.safe_load(first[2])
    assert fresh.repro().skipped == set(STAGES)


def _kill_in(project: Project, stage: str, seconds: float) -> bool:
    """Start `dvc repro`, kill it and its stage `seconds` after the stage begins; False: it never began."""
    process = project.start("dvc", "repro")
    assert process.stdout is not None
    with process.stdout:
        began = any(line.startswith(f"Running stage '{stage}'") for line in process.stdout)
        if began:
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(60) == (-signal.SIGKILL if began else 0)
    assert project.run("adrefine.cli", "check").code == 0  # mends what DVC may have left half written
    return began
