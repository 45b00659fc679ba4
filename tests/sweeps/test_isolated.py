"""Isolated runs, with a stand-in for DVC: what it is told, and what is left afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from adrefine.dvc_driver.processes import Failed
from adrefine.errors import UserError
from adrefine.sweeps import isolated, project
from adrefine.sweeps.experiments import Experiment
from adrefine.sweeps.isolated import Source

EXPERIMENT = Experiment("osr", {"refine.strategy": "osr"}, {"dataset": {"root": "photos"}})
RUN = "exp run --name osr --set-param ++refine.strategy=osr"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with one committed photo and one that git does not hold."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / "photos").mkdir()
    (root / ".dvc/config").write_text("[core]\n")
    (root / ".gitignore").write_text("/photos/private*\n/.adrefine/\n/models/\n")
    (root / "params.yaml").write_text("detector: differnet\n")
    (root / "photos/committed.png").write_text("one")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "First")
    (root / "photos/private.png").write_text("two")
    (root / "models").mkdir()
    (root / "models/state.pt").write_text("three")
    return root


@pytest.fixture
def source(repository: Path, tmp_path: Path) -> Source:
    commit = git(repository, "rev-parse", "HEAD")
    return Source(str(repository), commit, tmp_path / "cache", tmp_path / "side")


def stand_in(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a shell script in DVC's place; it logs its arguments to the file returned, then runs `script`."""
    log = tmp_path / "calls"
    program = tmp_path / "dvc"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(isolated, "DVC", [str(program)])
    return log


def test_a_run_is_a_clone_of_the_commit_and_leaves_nothing(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(source.repository) / "params.yaml").write_text("detector: changed\n")  # not committed
    script = (
        "if [ $2 = run ]; then cat params.yaml .dvc/config.local; ls photos; ls; "
        'echo "$PYTHONPATH|$ADREFINE_CACHE_DIR|$CUDA_VISIBLE_DEVICES"; fi'
    )
    log = stand_in(script, tmp_path, monkeypatch)
    folder = tmp_path / "runs/osr"
    folder.mkdir(parents=True)
    (folder / "left by a killed run").touch()
    lines = list(isolated.run(source, EXPERIMENT, folder, {"CUDA_VISIBLE_DEVICES": "1"}))
    assert lines[0] == "detector: differnet"
    assert f"    dir = {tmp_path}/cache" in lines
    assert lines[-5:-3] == ["committed.png", "private.png"]
    assert lines[-3:-1] == ["params.yaml", "photos"]
    python_path, side, gpu = lines[-1].split("|")
    assert python_path.split(":")[0] == f"{folder}/src"
    assert [side, gpu] == [f"{tmp_path}/side", "1"]
    assert log.read_text().splitlines() == [RUN, "exp push --no-cache origin osr"]
    assert not folder.exists()


def test_on_a_worker_data_are_pulled_and_pushed_before_the_experiment(
    repository: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stand_in("[ $1 != pull ] || ls photos", tmp_path, monkeypatch)
    there = Source(source.repository, source.commit, source.cache, source.side, pull=True)
    assert list(isolated.run(there, EXPERIMENT, tmp_path / "osr")) == ["committed.png"]
    assert log.read_text().splitlines() == [
        "pull --run-cache --allow-missing",
        RUN.replace("run", "run --pull", 1),
        "push --run-cache",
        "exp push --no-cache origin osr",
    ]


def test_a_failed_run_pushes_nothing_and_leaves_nothing(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stand_in("echo 'adrefine: error: too few photos'; exit 255", tmp_path, monkeypatch)
    with pytest.raises(Failed, match="too few photos"):
        list(isolated.run(source, EXPERIMENT, tmp_path / "osr"))
    assert log.read_text().splitlines() == [RUN]
    assert not (tmp_path / "osr").exists()


def test_a_commit_that_the_repository_does_not_have_is_told(source: Source, tmp_path: Path) -> None:
    elsewhere = Source(source.repository, "0" * 40, source.cache, source.side)
    with pytest.raises(UserError, match="has no commit 00000000: push it first"):
        list(isolated.run(elsewhere, EXPERIMENT, tmp_path / "osr"))


def test_photos_are_linked_not_copied(repository: Path, tmp_path: Path) -> None:
    isolated.link_inputs(repository, EXPERIMENT.settings, tmp_path / "clone")
    linked = tmp_path / "clone/photos/private.png"
    assert linked.samefile(repository / "photos/private.png")
    assert not (tmp_path / "clone/photos/committed.png").exists()  # git brings it
    assert not (tmp_path / "clone/models").exists()  # no input
    isolated.link_inputs(repository, {"dataset": {"root": "/elsewhere"}, "embed": None}, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_everything_that_runs_in_a_folder_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_GRACE", 0.5)
    inside, outside = tmp_path / "runs/osr", tmp_path / "elsewhere"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    programs = [
        subprocess.Popen([sys.executable, "-c", deaf], cwd=folder, start_new_session=True)
        for folder in (inside, outside)
    ]
    try:
        time.sleep(0.3)
        assert isolated.end_all(tmp_path / "runs") == 1
        assert programs[0].wait(5) != 0
        assert programs[1].poll() is None
    finally:
        for program in programs:
            program.kill()
            program.wait()


def test_a_sweep_belongs_to_a_commit(repository: Path) -> None:
    assert project.commit(repository) == git(repository, "rev-parse", "HEAD")
    (repository / "params.yaml").write_text("detector: efficientad\n")
    with pytest.raises(UserError, match=r"^not committed: params.yaml\. "):
        project.commit(repository)
    assert project.settings(repository, "HEAD") == {"detector": "differnet"}


def test_results_that_are_not_committed_change_nothing(repository: Path) -> None:
    (repository / "dvc.lock").write_text("first")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Result")
    (repository / "dvc.lock").write_text("second")
    assert project.commit(repository) == git(repository, "rev-parse", "HEAD")


def test_one_sweep_at_a_time_and_what_a_killed_one_left_is_gone(repository: Path) -> None:
    left = repository / project.RUNS / "osr"
    left.mkdir(parents=True)
    orphan = subprocess.Popen(["sleep", "60"], cwd=left)
    with project.claimed(repository) as folder:
        assert orphan.wait(10) != 0
        assert not left.exists()
        with (
            pytest.raises(UserError, match="another sweep is at work"),
            project.claimed(repository),
        ):
            pass
    assert folder == repository / project.RUNS
    with project.claimed(repository):
        pass
