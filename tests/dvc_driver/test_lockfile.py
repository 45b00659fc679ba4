"""dvc.lock, cut where a kill or a full disk cut it: put back, and no stage is forgotten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adrefine.dvc_driver import health, lockfile
from adrefine.dvc_driver.lockfile import COPY, LOCK

DVC = [sys.executable, "-m", "dvc"]
GRAPH = """
stages:
  first:
    cmd: cp params.yaml one && cp params.yaml two
    params: [x]
    outs: [one, two]
  second:
    cmd: cat one > three
    deps: [one]
    outs: [three]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run, with the copy that a look at it leaves."""
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([*DVC, "init", "--no-scm", "-q"], cwd=folder, check=True)
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / "params.yaml").write_text("x: 1\n")
    subprocess.run([*DVC, "repro", "-q"], cwd=folder, check=True)
    assert lockfile.mend(folder) is None
    return folder


def test_cut_at_any_byte_it_is_put_back(made: Path) -> None:
    whole = (made / LOCK).read_bytes()
    assert (made / COPY).read_bytes() == whole
    for length in range(len(whole)):
        (made / LOCK).write_bytes(whole[:length])
        told = lockfile.mend(made)
        assert told is not None, length
        assert told.startswith("dvc.lock ")
        assert told.endswith("put back as it was before the last stage that ran")
        assert (made / LOCK).read_bytes() == whole


@pytest.mark.parametrize("damaged", ["a: 2026-13-45\n", "[" * 60_000 + "\n", "schema: &a [*a]\n", "\0\n"])
def test_whatever_stands_in_it_or_in_the_graph_it_is_put_back(made: Path, damaged: str) -> None:
    whole, graph = (made / LOCK).read_bytes(), (made / "dvc.yaml").read_text()
    (made / LOCK).write_text(damaged)
    assert "put back" in str(lockfile.mend(made))
    assert (made / LOCK).read_bytes() == whole
    (made / "dvc.yaml").write_text(damaged)  # DVC says what is wrong with it
    lockfile.mend(made)
    (made / "dvc.yaml").write_text(graph)


def test_while_it_is_torn_no_stage_keeps_it(made: Path) -> None:
    whole = (made / LOCK).read_bytes()
    for length in (0, len(whole) // 2, whole.index(b"  second")):
        (made / LOCK).write_bytes(whole[:length])
        lockfile.keep(made)
        assert (made / COPY).read_bytes() == whole
    (made / LOCK).write_bytes(whole)


def test_a_stage_that_dvc_yaml_no_longer_has_is_not_missed(made: Path) -> None:
    whole = (made / LOCK).read_bytes()
    alone = GRAPH[: GRAPH.index("  second")]
    try:
        (made / "dvc.yaml").write_text(alone)
        (made / LOCK).write_bytes(whole[: whole.index(b"  second")])
        assert lockfile.mend(made) is None
        assert (made / COPY).read_bytes() == (made / LOCK).read_bytes()
    finally:
        (made / "dvc.yaml").write_text(GRAPH)
        (made / LOCK).write_bytes(whole)
        assert lockfile.mend(made) is None


def test_one_that_git_has_is_never_changed(tmp_path: Path, made: Path) -> None:
    whole = (made / LOCK).read_bytes()
    for command in (["init", "-q"], ["config", "user.name", "a"], ["config", "user.email", "a@b"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text(GRAPH)
    (tmp_path / LOCK).write_bytes(whole[: whole.index(b"  second")])
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=tmp_path, check=True)
    older = (tmp_path / LOCK).read_bytes()
    (tmp_path / LOCK).write_bytes(whole)
    lockfile.keep(tmp_path)
    (tmp_path / LOCK).write_bytes(older)  # as `git checkout` of an older commit
    assert lockfile.mend(tmp_path) is None
    (tmp_path / COPY).unlink()
    (tmp_path / LOCK).write_bytes(b"")
    assert lockfile.mend(tmp_path) == (
        "dvc.lock is empty, as after a kill while DVC wrote it: put back as it was committed"
    )
    assert (tmp_path / LOCK).read_bytes() == older


def test_without_any_copy_it_goes_so_that_dvc_runs_again(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"schema: '2.0'\nsta")
    assert "removed, for there is no copy" in str(lockfile.mend(tmp_path))
    assert not (tmp_path / LOCK).exists()


def test_killed_while_dvc_writes_it_the_next_run_is_as_if_nothing_had_been(made: Path) -> None:
    """The very write is stopped half way, by a DVC whose file ends after some bytes; then the next run."""
    whole = (made / LOCK).read_bytes()
    torn = (
        "import os, ruamel.yaml as r\n"
        "real = r.YAML.dump\n"
        "def dump(self, data, stream=None, **_):\n"
        "    if 'stages' in data and stream is not None and stream.name.endswith('dvc.lock'):\n"
        "        stream.write(\"schema: '2.0'\\nstages:\\n  first:\\n    cmd: cp\"); stream.flush()\n"
        "        os._exit(137)\n"
        "    return real(self, data, stream, **_)\n"
        "r.YAML.dump = dump\n"
        "from dvc.cli import main\n"
        "main(['repro', '-q', '--force'])\n"
    )
    (made / "params.yaml").write_text("x: 2\n")
    done = subprocess.run([sys.executable, "-c", torn], cwd=made, check=False)
    assert done.returncode == 137
    assert (made / LOCK).read_bytes() != whole
    assert len(health.mend(made)) == 1
    subprocess.run([*DVC, "repro", "-q"], cwd=made, check=True)
    assert (made / "three").read_text() == "x: 2\n"
