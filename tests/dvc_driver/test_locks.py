"""DVC's list of locks, half written when DVC was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adrefine import cli
from adrefine.dvc_driver.locks import RWLOCK, mend

WHOLE = '{"write": {}, "read": {"data": [{"pid": 7, "cmd": "dvc repro"}]}}'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder under DVC with one stage."""
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: echo x > out\n    outs: [out]\n")
    return tmp_path


@pytest.mark.parametrize("length", [0, 1, len(WHOLE) // 2, len(WHOLE) - 1])
def test_a_list_cut_anywhere_is_removed(project: Path, length: int) -> None:
    (project / RWLOCK).write_text(WHOLE[:length])
    assert str(RWLOCK) in str(mend(project))
    assert not (project / RWLOCK).exists()


@pytest.mark.parametrize("content", [WHOLE, "{}"])
def test_a_whole_list_stays(project: Path, content: str) -> None:
    (project / RWLOCK).write_text(content)
    assert mend(project) is None
    assert (project / RWLOCK).read_text() == content


def test_no_list_no_word(tmp_path: Path) -> None:
    assert mend(tmp_path) is None


def test_dvc_runs_again_after_a_check(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user meets it; should DVC mend this itself one day, the first half fails."""
    (project / RWLOCK).write_text(WHOLE[:9])
    (project / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    command = [sys.executable, "-m", "dvc", "repro"]
    broken = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "Unable to read RWLock-file" in broken.stderr
    monkeypatch.chdir(project)
    cli.run(["check"])
    assert f"removed {RWLOCK}" in capsys.readouterr().out
    subprocess.run(command, cwd=project, check=True, capture_output=True)


def test_the_flow_mends_it_by_itself(project: Path) -> None:
    (project / RWLOCK).write_text(WHOLE[:9])
    command = [sys.executable, "-m", "adrefine.dvc_driver.child"]
    done = subprocess.run(command, cwd=project, input="[]\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"removed {RWLOCK}")
    assert (project / "out").exists()
