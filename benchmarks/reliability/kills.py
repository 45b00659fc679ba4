"""Kills by SIGKILL; afterwards the work is done again, and must end as if undisturbed.

    python -m benchmarks.reliability.kills KIND FOLDER   # one piece of work, to be traced and killed

`hand`: a person would have had to do something; `lost`: something is gone or differs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import io, review
from adrefine.dvc_driver import settings
from adrefine.errors import UserError
from adrefine.serving import intake, versions
from adrefine.serving.candidate import Candidate
from adrefine.serving.promotion import Record, Verdict
from benchmarks.reliability import project
from benchmarks.reliability.tally import HAND, LOST, RIGHT, TRACEBACK, Tally

ROOT = Path(__file__).parents[2]
CALLS = ",".join(  # that change files; `?`: not on every kind of machine
    f"?{name}"
    for name in (
        *("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2", "link"),
        *("linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "chmod", "fchmod"),
    )
)


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
    """Kills of what happens in one process, at random instants: answers, settings, the inbox, a promotion."""
    for work in WORKS:
        yield _killed(work, count, rng, folder)


def at_calls(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """The same, killed at the entry of a system call that changes files; none where strace is missing."""
    for work in WORKS:
        tally = Tally(f"killed at a system call: {work.kind}")
        if shutil.which("strace"):
            _at_calls(tally, work, count, rng, folder)
        yield tally


def _killed(work: Work, count: int, rng: np.random.Generator, folder: Path) -> Tally:
    tally, calm = Tally(f"killed: {work.kind}"), folder / "calm"
    work.prepare(calm)
    start = time.monotonic()
    work.do(calm)
    span, wanted = time.monotonic() - start, work.end(calm)
    shutil.rmtree(calm)
    for _ in until(tally, count):
        place = folder / "killed"
        work.prepare(place)
        if _kill(lambda place=place: work.do(place), float(rng.uniform(0, span))):
            _again(tally, work, place, wanted)
        shutil.rmtree(place)
    return tally


def _kill(do: Callable[[], object], after: float) -> bool:
    """Run `do` in a child and kill that after some seconds; whether it was still at work."""
    child = os.fork()
    if not child:
        try:
            do()
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _at_calls(tally: Tally, work: Work, count: int, rng: np.random.Generator, folder: Path) -> None:
    place, log = folder / "killed", folder / "calls"
    command = [sys.executable, "-m", "benchmarks.reliability.kills", work.kind, str(place)]
    variables = project.environment(PYTHONDONTWRITEBYTECODE="1")
    work.prepare(place)
    subprocess.run([*traced(log), *command], check=True, env=variables, cwd=ROOT)
    calls, wanted = made_calls(log), work.end(place)
    shutil.rmtree(place)
    for _ in until(tally, count):
        work.prepare(place)
        kill = calls[int(rng.integers(0, len(calls)))]
        if subprocess.run(
            [*traced(log, kill=kill), *command], check=False, env=variables, cwd=ROOT
        ).returncode:
            _again(tally, work, place, wanted)
        shutil.rmtree(place)


def traced(
    log: Path, calls: str = CALLS, kill: tuple[str, int] | None = None, path: Path | None = None
) -> list[str]:
    """What goes before a command to log its system calls.

    Args:
        kill: the process at the entry of its call of this name and number. path: only calls about this file.
    """
    end = ["-e", f"inject={kill[0]}:signal=SIGKILL:when={kill[1]}"] if kill else []
    about = ["-P", str(path)] if path else []
    return ["strace", "-f", "-qq", "-o", str(log), *about, "-e", f"trace={calls}", "-e", "signal=none", *end]


def made_calls(log: Path) -> list[tuple[str, int]]:
    """Name and number of each call of a log: strace counts those of each process and name by themselves."""
    counts, made = Counter[tuple[str, str]](), []
    for process, name in re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE):
        counts[process, name] += 1
        made.append((name, counts[process, name]))
    return made


def until(tally: Tally, count: int) -> Iterator[None]:
    """Turns until so many kills hit something that was still at work; five times as many at most."""
    for _ in range(5 * count):
        if tally.tried == count:
            return
        yield


def _again(tally: Tally, work: Work, place: Path, wanted: dict[str, bytes]) -> None:
    """Do the work once more, as a person would who does not know how far it came."""
    what = f"{work.kind} {tally.tried}"
    try:
        work.do(place)
        tally.add(RIGHT if work.end(place) == wanted else LOST, what)
    except UserError as error:
        tally.add(HAND, f"{what}: {error}")
    except Exception as error:
        tally.add(TRACEBACK, f"{what}: {type(error).__name__}: {error}")


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
    for number in range(4):
        (folder / f"inbox/{number}.png").write_bytes(photo(number))
    (folder / "inbox/bad.png").write_bytes(b"no photo")


def photo(number: int) -> bytes:
    """A small photo, another for each number, as PNG."""
    buffer = BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


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
WORKS = (ANSWERS, SETTINGS, INBOX, PROMOTION)


def main(kind: str, folder: Path) -> None:
    """Do one piece of work."""
    next(work for work in WORKS if work.kind == kind).do(folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
