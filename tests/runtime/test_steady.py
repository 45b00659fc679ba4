"""An input that changes while its stage runs fails the stage; nothing else does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adrefine.dvc_driver.lockfile import COPY
from adrefine.errors import UserError
from adrefine.runtime import steady

GRAPH = """
stages:
  ingest:
    cmd: x
    deps: ["${dataset.root}"]
    params: [dataset]
  refine:
    cmd: x
    deps: [data/review.csv, src]
    params: [detector, refine, "${refine.strategy}"]
"""
PARAMS = """
dataset: {name: folder, root: photos}
detector: padim
refine: {strategy: irp}
irp: {lambda: 2.0}
osr: {lambda: 1.0}
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("photos/good", "src/__pycache__", "data", ".dvc"):
        Path(folder).mkdir(parents=True)
    Path("dvc.yaml").write_text(GRAPH)
    Path("params.yaml").write_text(PARAMS)
    Path("photos/good/1.png").write_text("one")
    Path("src/a.py").write_text("a = 1")
    Path("data/review.csv").write_text("image_id,verdict,note\n")


def edited(text: str, new: str) -> Callable[[], object]:
    return lambda: Path("params.yaml").write_text(PARAMS.replace(text, new))


@pytest.mark.parametrize(
    ("stage", "change", "says"),
    [
        ("refine", lambda: Path("data/review.csv").write_text("image_id,verdict\n"), "data/review.csv"),
        ("refine", lambda: Path("data/review.csv").unlink(), "data/review.csv"),
        ("refine", lambda: Path("src/b.py").write_text(""), "src/b.py"),
        ("refine", edited("lambda: 2.0", "lambda: 3.0"), "`irp` of params.yaml"),
        ("refine", edited("padim", "differnet"), "`detector` of params.yaml"),
        ("ingest", lambda: Path("photos/good/2.png").write_text("two"), "photos/good/2.png"),
        ("ingest", lambda: Path("photos/good/1.png").unlink(), "photos/good/1.png"),
        ("ingest", edited("name: folder", "name: folder, seed: 1"), "`dataset` of params.yaml"),
    ],
)
def test_what_changed_is_named(stage: str, change: Callable[[], object], says: str) -> None:
    with pytest.raises(UserError, match=rf"^{says} changed while {stage} ran: run again"):
        steady.steadily(stage, lambda: change() and None)


@pytest.mark.parametrize(
    "change",
    [
        lambda: None,
        edited("osr: {lambda: 1.0}", "osr: {lambda: 9.0}"),
        edited("detector: padim", "detector:   padim  # a comment"),
        lambda: Path("src/__pycache__/a.cpython-311.pyc").write_text("compiled"),
        lambda: Path("photos/good/2.png").write_text("two"),
    ],
)
def test_what_the_stage_does_not_read_may_change(change: Callable[[], object]) -> None:
    steady.steadily("refine", lambda: change() and None)


def test_an_answer_given_during_refine_is_applied_by_the_next_run(tmp_path: Path) -> None:
    """With DVC itself: the run fails and says so, the next one has the answer in its result."""
    body = (
        "from adrefine.runtime import steady; from pathlib import Path; import time\n"
        "def main():\n"
        "    text = Path('data/review.csv').read_text()\n"
        "    if 'b2' not in text: Path('data/review.csv').write_text(text + 'b2,keep,\\n')\n"
        "    Path('out').write_text(text)\n"
        "steady.run('refine', main)\n"
    )
    Path("refine.py").write_text(body)
    Path("dvc.yaml").write_text(
        f"stages:\n  refine:\n    cmd: {sys.executable} refine.py\n"
        "    deps: [data/review.csv]\n    outs: [out]\n"
    )
    Path(".dvc").rmdir()
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "-q", "--no-scm"], check=True)
    done = subprocess.run([*dvc, "repro"], capture_output=True, text=True, check=False)
    assert "data/review.csv changed while refine ran: run again (`dvc repro`)" in done.stderr
    assert done.returncode
    subprocess.run([*dvc, "repro", "-q"], check=True)
    assert "b2" in Path("out").read_text()
    assert subprocess.run([*dvc, "status", "-q"], check=False).returncode == 0


def test_a_stage_keeps_the_last_whole_dvc_lock() -> None:
    Path("dvc.lock").write_text("schema: '2.0'\nstages:\n  a:\n    cmd: b\n")
    steady.steadily("refine", lambda: None)
    assert COPY.read_text() == Path("dvc.lock").read_text()
