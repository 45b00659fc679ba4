"""Kills by SIGKILL at random instants; afterwards the work is done again, and must end as if undisturbed.

`hand`: a person would have had to do something; `lost`: something is gone or differs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import io, review
from adrefine.dvc_driver import health, lockfile, settings
from adrefine.errors import UserError
from adrefine.serving import intake, versions
from adrefine.serving.candidate import Candidate
from adrefine.serving.promotion import Record, Verdict
from benchmarks.reliability.tally import HAND, LOST, RIGHT, Tally

ROOT = Path(__file__).parents[2]
DVC = [sys.executable, "-m", "dvc"]
_GRAPH = """
stages:
  ingest:
    cmd: {python} stage.py ingest
    deps: [photos, stage.py]
    params: [x]
    outs: [ingested]
  refine:
    cmd: {python} stage.py refine
    deps: [ingested, review.csv, stage.py]
    outs: [refined]
  evaluate:
    cmd: {python} stage.py evaluate
    deps: [refined, stage.py]
    outs: [report]
"""
_STAGE = """
import sys
from pathlib import Path
from adrefine import steady
READS = {"ingest": ["photos/1", "params.yaml"], "refine": ["ingested", "review.csv"], "evaluate": ["refined"]}
WRITES = {"ingest": "ingested", "refine": "refined", "evaluate": "report"}
def main():
    Path(WRITES[name]).write_text("".join(Path(file).read_text() for file in READS[name]) * 20)
name = sys.argv[1]
steady.run(name, main)
"""


@dataclass(frozen=True)
class Work:
    """A piece of work in a folder of its own.

    Attributes:
        prepare: makes the folder. do: the work; done again after a kill. end: all that counts afterwards.
    """

    kind: str
    prepare: Callable[[Path], None]
    do: Callable[[Path], object]
    end: Callable[[Path], dict[str, bytes]]


def small(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Kills of what happens in one process: answers, settings, the inbox, a promotion."""
    for work in (ANSWERS, SETTINGS, INBOX, PROMOTION):
        yield _killed(work, count, rng, folder)


def _killed(work: Work, count: int, rng: np.random.Generator, folder: Path) -> Tally:
    tally, calm = Tally(f"killed: {work.kind}"), folder / "calm"
    work.prepare(calm)
    start = time.monotonic()
    work.do(calm)
    span, wanted = time.monotonic() - start, work.end(calm)
    for number in range(count):
        place = folder / "killed"
        work.prepare(place)
        _kill(lambda place=place: work.do(place), float(rng.uniform(0, span)))
        try:
            work.do(place)
            tally.add(RIGHT if work.end(place) == wanted else LOST, f"{work.kind} {number}")
        except UserError as error:
            tally.add(HAND, str(error))
        shutil.rmtree(place)
    shutil.rmtree(calm)
    return tally


def _kill(do: Callable[[], object], after: float) -> None:
    """Run `do` in a child and kill that after some seconds."""
    child = os.fork()
    if not child:
        try:
            do()
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def dvc(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Kills of a whole `dvc repro` and all it started; of DVC while it writes dvc.lock; of the process that
    drives it, alone; of `dvc exp run`."""
    made = _project(folder / "project")
    wanted = _after(made, ["repro", "-q"])
    yield _runs("dvc repro, its group", count, rng, made, wanted, ["repro", "-q"])
    yield _cuts("dvc.lock, cut at a byte", count + count // 4, rng, made, wanted)
    yield _runs("dvc exp run, its group", count // 2, rng, made, wanted, ["exp", "run", "-q"])


def _project(folder: Path) -> Path:
    """A committed project of three stages that use the product's own wrapper, with an uncommitted answer."""
    (folder / "photos").mkdir(parents=True)
    (folder / "photos/1").write_text("photo\n")
    (folder / "params.yaml").write_text("x: 1\n")
    (folder / "review.csv").write_text("image_id,verdict,note\n")
    (folder / "stage.py").write_text(_STAGE)
    (folder / "dvc.yaml").write_text(_GRAPH.format(python=sys.executable))
    for command in ("git init -q -b main", "git config user.name a", "git config user.email a@b"):
        subprocess.run(command.split(), cwd=folder, check=True)
    subprocess.run([*DVC, "init", "-q"], cwd=folder, check=True)
    subprocess.run([*DVC, "repro", "-q"], cwd=folder, check=True, env=_environment())
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=folder, check=True)
    (folder / "params.yaml").write_text("x: 2\n")
    (folder / "review.csv").write_text("image_id,verdict,note\na1,keep,\n")
    shutil.rmtree(folder / ".dvc/cache")
    return folder


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def _after(made: Path, command: list[str]) -> dict[str, bytes]:
    """What the project holds after an undisturbed run."""
    place = made.with_name("calm")
    shutil.copytree(made, place, symlinks=True)
    subprocess.run([*DVC, *command], cwd=place, check=True, env=_environment())
    return _results(place)


def _results(place: Path) -> dict[str, bytes]:
    names = ("dvc.lock", "params.yaml", "review.csv", "ingested", "refined", "report")
    contents = {
        name: (place / name).read_bytes() if (place / name).exists() else b"missing" for name in names
    }
    shutil.rmtree(place)
    return contents


def _runs(
    kind: str, count: int, rng: np.random.Generator, made: Path, wanted: dict[str, bytes], command: list[str]
) -> Tally:
    tally = Tally(f"killed: {kind}")
    for number in range(count):
        place = made.with_name("killed")
        shutil.copytree(made, place, symlinks=True)
        process = subprocess.Popen(
            [*DVC, *command],
            cwd=place,
            env=_environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(float(rng.uniform(0.4, 4.0)))
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        _again(tally, place, wanted, f"{kind} {number}")
    return tally


def _cuts(kind: str, count: int, rng: np.random.Generator, made: Path, wanted: dict[str, bytes]) -> Tally:
    """What a kill during DVC's write of dvc.lock leaves, at any byte; stage and check have kept the copy."""
    tally, whole = Tally(f"killed: {kind}"), (made / "dvc.lock").read_bytes()
    for number in range(count):
        place = made.with_name("killed")
        shutil.copytree(made, place, symlinks=True)
        lockfile.keep(place)
        (place / "dvc.lock").write_bytes(whole[: int(rng.integers(0, len(whole)))])
        _again(tally, place, wanted, f"{kind} {number}")
    return tally


def _again(tally: Tally, place: Path, wanted: dict[str, bytes], what: str) -> None:
    """`adrefine check`, the one command that it names if any, and `dvc repro`."""
    health.mend(place)
    by_hand = False
    try:
        health.look(place)
    except UserError as error:
        by_hand = True
        subprocess.run(str(error).rpartition(": ")[2], shell=True, cwd=place, check=False)
    run = [*DVC, "repro", "-q"]
    done = subprocess.run(run, cwd=place, env=_environment(), capture_output=True, text=True, check=False)
    right = done.returncode == 0 and _results(place) == wanted
    shutil.rmtree(place, ignore_errors=True)
    tally.add((HAND if by_hand else RIGHT) if right else LOST, f"{what}: {done.stderr[-200:]}")


def _prepare_answers(folder: Path) -> None:
    folder.mkdir()
    review.write(folder / "review.csv", {f"{n:04x}": review.Answer("keep", "before") for n in range(50)})


def _answer(folder: Path) -> None:
    for number in range(10):
        with review.changing(folder / "review.csv") as answers:
            answers[f"new{number}"] = review.Answer("remove", "a note")


def _prepare_settings(folder: Path) -> None:
    folder.mkdir()
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")


def _set(folder: Path) -> None:
    settings.write({"noise.level": 0.4, "refine.strategy": "osr"}, folder / "params.yaml")


def _prepare_inbox(folder: Path) -> None:
    for place in ("inbox", "photos/train/good", "promoted"):
        (folder / place).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"inbox/{number}.png")
    (folder / "inbox/bad.png").write_bytes(b"no photo")


def _take(folder: Path) -> None:
    inbox, root = folder / "inbox", folder / "photos"
    arrivals, undecided = root / "train/good", folder / "promoted/undecided"
    intake.take(inbox, list(intake.look(inbox)), root, arrivals, undecided, 1.0)


def _prepare_promotion(folder: Path) -> None:
    (folder / "promoted").mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * 20_000)


def _promote(folder: Path) -> None:
    scores = pd.DataFrame({"image_id": ["a"], "score": [1.0], "likelihood": [1.0]})
    files = {"manifest.csv": folder / "weights", "model/weights": folder / "weights"}
    verdict = Verdict(True, "no worse", True, "auroc", 0.9, 0.8, 5, 6)
    versions.settle(folder / "promoted", Candidate(files, Record("new", "i", scores), {}), verdict)


def _all(folder: Path) -> dict[str, bytes]:
    """Every file but locks, and times of the history; links by where they lead."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            contents[name] = os.readlink(path).encode()
        elif path.is_file() and not name.endswith("lock") and not name.endswith(io.PART):
            data = path.read_bytes()
            contents[name] = data if path.name != "history.csv" else data.partition(b"Z,")[2]
    return contents


ANSWERS = Work("ten answers", _prepare_answers, _answer, _all)
SETTINGS = Work("settings written", _prepare_settings, _set, _all)
INBOX = Work("inbox of five", _prepare_inbox, _take, _all)
PROMOTION = Work("a promotion", _prepare_promotion, _promote, _all)
