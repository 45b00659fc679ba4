"""Programs at the same time: nothing may be lost, doubled or mixed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from adrefine import io, review
from adrefine.errors import UserError
from adrefine.io import read_json
from adrefine.serving import intake
from benchmarks.reliability import kills, project
from benchmarks.reliability.tally import LOST, RIGHT, Tally

_AT_ONCE = 8


def all_of(count: int, folder: Path) -> Iterator[Tally]:
    """Answers, timings, inboxes; and two `dvc repro` in one folder."""
    yield _answers(count, folder)
    yield _timings(count, folder)
    yield _inboxes(count, folder)
    yield _runs(max(1, count // 3), folder)


def _together(work: Callable[[int], object]) -> None:
    """`work(n)` in `_AT_ONCE` processes; one that is refused in a line tries again."""
    children = []
    for number in range(_AT_ONCE):
        child = os.fork()
        if child:
            children.append(child)
            continue
        try:
            while True:
                try:
                    work(number)
                    break
                except UserError:
                    time.sleep(0.01)
        finally:
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)


def _answers(count: int, folder: Path) -> Tally:
    tally, path = Tally(f"{_AT_ONCE} reviewers, 5 answers each"), folder / "review.csv"
    for number in range(count):
        path.unlink(missing_ok=True)

        def answer(who: int) -> None:
            for photo in range(5):
                with review.changing(path) as answers:
                    answers[f"{who}-{photo}"] = review.Answer("keep")

        _together(answer)
        tally.add(RIGHT if len(review.read(path)) == 5 * _AT_ONCE else LOST, f"round {number}")
    return tally


def _timings(count: int, folder: Path) -> Tally:
    tally, path = Tally(f"{_AT_ONCE} stages record their time"), folder / "timing.json"
    for number in range(count):
        path.unlink(missing_ok=True)

        def record(who: int) -> None:
            with io.timed(path, str(who)):
                pass

        _together(record)
        tally.add(RIGHT if len(read_json(path)) == _AT_ONCE else LOST, f"round {number}")
    return tally


def _inboxes(count: int, folder: Path) -> Tally:
    tally = Tally(f"{_AT_ONCE} flows take from one inbox")
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"inbox{number}"
        for name in ("inbox", "photos/train/good", "promoted"):
            (place / name).mkdir(parents=True)
        for photo in range(10):
            image = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
            image.save(place / f"inbox/{photo}.png")
        _together(lambda _, place=place: kills._take(place))
        left, there = intake.look(place / "inbox"), list((place / "photos").rglob("*.png"))
        tally.add(RIGHT if not left and len(there) == 10 else LOST, f"round {number}")
    return tally


def _runs(count: int, folder: Path) -> Tally:
    tally = Tally("two `dvc repro` in one folder")
    made = project.make(folder / "runs/project", {"1.png": b"photo"})
    wanted, _ = project.undisturbed(made)
    for number in range(count):
        place = made.with_name(f"both{number}")
        subprocess.run(["cp", "-r", str(made), str(place)], check=True)
        quiet = subprocess.DEVNULL
        both = [
            subprocess.Popen(project.REPRO, cwd=place, env=project.environment(), stdout=quiet, stderr=quiet)
            for _ in range(2)
        ]
        for process in both:
            process.wait()
        project.again(tally, place, wanted, f"round {number}")
    return tally
