"""What a killed or living DVC means for a project, in words that help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adrefine.dvc_driver import health, locks
from adrefine.errors import UserError

DVC = [sys.executable, "-m", "dvc"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed project with a stage that takes long, and an answer that is not committed."""
    for command in (
        ["init", "-q", "-b", "main"],
        ["config", "user.name", "a"],
        ["config", "user.email", "a@b"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    subprocess.run([*DVC, "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "params.yaml").write_text("x: 1\n")
    (tmp_path / "review.csv").write_text("a\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: touch began && sleep 60 && cp params.yaml out\n"
        "    params: [x]\n    outs: [out]\n"
    )
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=tmp_path, check=True)
    (tmp_path / "review.csv").write_text("a\nb\n")
    return tmp_path


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A DVC whose stage has begun."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [*DVC, *arguments], cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True
    )
    _wait(lambda: (folder / "began").exists())
    return process


def _wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done() and time.monotonic() < end:
        time.sleep(0.05)


def killed(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_dvc_that_is_at_work_is_named_and_no_lock_is_to_go(project: Path) -> None:
    process = started(project, "repro")
    try:
        told = health.look(project)
        assert told is not None
        assert f"process {process.pid} (" in told
        assert f"kill {process.pid}" in told
        assert "Remove no lock" in told
        child = [sys.executable, "-m", "adrefine.dvc_driver.child"]
        done = subprocess.run(
            child, cwd=project, input="[]\n", capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode != 0
        assert f"DVC is at work in this folder: process {process.pid}" in done.stdout + done.stderr
        assert "manually" not in done.stdout + done.stderr
    finally:
        killed(process)
    assert locks.holder(project) is None
    assert health.look(project) is None


def test_a_dvc_whose_flow_was_killed_ends_with_it(project: Path) -> None:
    flow = "from adrefine.dvc_driver.repro import events\nfor event in events(): print(event.line)"
    process = subprocess.Popen([sys.executable, "-c", flow], cwd=project, stdout=subprocess.DEVNULL)
    _wait(lambda: (project / "began").exists())
    process.kill()
    process.wait()
    _wait(lambda: locks.holder(project) is None)
    assert locks.holder(project) is None


def test_a_killed_experiment_is_named_with_the_command_that_brings_the_branch_back(project: Path) -> None:
    killed(started(project, "exp", "run", "-S", "x=2"))
    with pytest.raises(UserError, match="git is on no branch; your files are") as told:
        health.look(project)
    _git(project, "commit", "-qam", "dvc: commit experiment 1a2b")  # as at the end
    with pytest.raises(UserError, match="git is on no branch; your files are"):
        health.look(project)
    for name in ("EXEC_MERGE", "EXEC_BASELINE"):  # removed then, before the branch is back
        _git(project, "update-ref", "-d", f"refs/exps/exec/{name}")
        with pytest.raises(UserError, match="git is on no branch; your files are"):
            health.look(project)
    subprocess.run(str(told.value).rpartition(": ")[2], shell=True, cwd=project, check=True)
    assert health.look(project) is None
    assert _git(project, "symbolic-ref", "--short", "HEAD") == "main"
    assert (project / "review.csv").read_text() == "a\nb\n"


@pytest.mark.parametrize("detached", [True, False])
def test_answers_that_are_in_the_stash_come_back(project: Path, detached: bool) -> None:
    """As a kill leaves it between DVC's `stash` and the end of its `stash pop`."""
    for found in ("", "a\n", "a\nb\n", "a\nb"):
        _stashed_by_dvc(project)
        if detached:
            _git(project, "checkout", "-q", "--detach")
        (project / "review.csv").write_text(found)
        with pytest.raises(UserError, match=r"is in `git stash`: .+ git stash drop -q$") as told:
            health.look(project)
        subprocess.run(str(told.value).rpartition(": ")[2], shell=True, cwd=project, check=True)
        assert _git(project, "symbolic-ref", "--short", "HEAD") == "main"
        assert _git(project, "stash", "list") == ""
        assert _git(project, "status", "--porcelain", "-uno") == "M review.csv"
        assert (project / "review.csv").read_text() == "a\nb\n"
        assert health.look(project) is None
    _stashed_by_dvc(project)
    (project / "review.csv").write_text("later\n")
    os.utime(project / "review.csv", (time.time() + 90,) * 2)
    with pytest.raises(UserError, match=r"first save copies of review.csv, changed since"):
        health.look(project)


def _stashed_by_dvc(project: Path) -> None:
    listed = project / ".dvc/tmp/exps/rwlock"
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text('{"write": {"workspace": {"pid": 1}, "refs/exps/stash": {"pid": 1}}, "read": {}}')
    _git(project, "stash")


def test_answers_that_dvc_alone_holds_come_back(project: Path) -> None:
    """As a kill leaves it after DVC's checkout by force, before it has applied the changes again."""
    killed(started(project, "exp", "run", "-S", "x=2"))
    for found in ("a\n", "a\nb", None):
        (project / "review.csv").unlink() if found is None else (project / "review.csv").write_text(found)
        with pytest.raises(UserError, match=r"of review.csv is in a commit of DVC's alone") as told:
            health.look(project)
        subprocess.run(str(told.value).rpartition(": ")[2], shell=True, cwd=project, check=True)
        assert (project / "review.csv").read_text() == "a\nb\n"
        assert (project / "params.yaml").read_text() == "x: 2\n"
        assert health.look(project) is None
        _git(project, "checkout", "-q", "--detach")


def test_a_stash_of_the_user_is_theirs(project: Path) -> None:
    _git(project, "stash")
    assert health.look(project) is None
    _git(project, "checkout", "-q", "--detach")
    assert health.look(project) is None


def test_a_head_that_the_user_detached_is_theirs(project: Path) -> None:
    _git(project, "checkout", "-q", "--detach")
    assert health.look(project) is None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
