"""`dvc repro` followed stage by stage, in one process that first says how things stand."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from adrefine.dvc_driver.plan import PLAN, Standing
from adrefine.dvc_driver.processes import Failed, end_group, follow, start

What = Literal["ran", "restored", "skipped"]
_BEGINS: tuple[tuple[What, re.Pattern[str]], ...] = (
    ("ran", re.compile(r"Running stage '(.+)':")),
    ("restored", re.compile(r"Stage '(.+)' is cached - skipping run, checking out outputs")),
    ("skipped", re.compile(r"Stage '(.+)' didn't change, skipping")),
)
# How tqdm ends its line: [elapsed<remaining, rate] or [elapsed, rate].
_PROGRESS = re.compile(r"\[\d+:\d\d(:\d\d)?[<,][^\]]*\]$")
_COMMAND = [sys.executable, "-m", "adrefine.dvc_driver.child"]


@dataclass(frozen=True)
class Event:
    """A line of `dvc repro`.

    stage: whose line it is, None before the first. what: what DVC does with that stage: `ran`, also while it
    runs; `restored` from the run cache; `skipped`, for nothing changed.
    """

    stage: str | None
    what: What | None
    line: str


class Repro:
    """A DVC that starts at once, says how things stand, and runs when told. Use as a context manager.

    Leaving the context in any way, also by a cancel, ends the whole process group. No experiment is made:
    `dvc repro` works in the workspace, so that a stop at any moment leaves no detached commit behind.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: the project; this one by default."""
        read, self._word = os.pipe()
        live = {"PYTHONUNBUFFERED": "1"}  # a stage's lines come when it prints them
        here = str(Path(sys.executable).parent)  # stages are `python`: this one, also where no venv is active
        live["PATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PATH", os.defpath)]))
        self._process = start(_COMMAND, folder=folder, environment=live, stdin=read)
        os.close(read)
        self._lines = follow(self._process, ["dvc", "repro"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        end_group(self._process)  # where no line was ever read, closing the lines does nothing
        os.close(self._word)

    def standing(self) -> Standing:
        """How things stand; waits for DVC. To be asked once, before `events`.

        Raises:
            Failed: DVC cannot read the project; says why.
        """
        for line in self._lines:
            if line.startswith(PLAN):
                return Standing.read(line)
        raise Failed(["dvc", "status"], 0, [])

    def events(self, force: bool = False) -> Iterator[Event]:
        """Let `dvc repro` run. force: every stage, up to date or not.

        Raises:
            Failed: a stage failed; says which, and the last that it printed.
        """
        os.write(self._word, (json.dumps(["--force"] if force else []) + "\n").encode())
        try:
            yield from parse(calm(self._lines))
        except Failed as error:
            raise Failed(["dvc", "repro"], error.code, _said(error.lines)) from None


def events(force: bool = False, folder: Path | None = None) -> Generator[Event]:
    """`dvc repro`, line by line; closing the generator ends it and all that it started.

    Args:
        force: run every stage, even if it is up to date. folder: the project; this one by default.

    Raises:
        Failed: a stage failed; says which, and the last that it printed.
    """
    with Repro(folder) as dvc:
        dvc.standing()
        yield from dvc.events(force)


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """The lines of `dvc repro`, each with its stage. Empty ones are left out."""
    stage, what = None, None
    for line in lines:
        if not line.strip():
            continue
        for kind, pattern in _BEGINS:
            if match := pattern.fullmatch(line.strip()):
                stage, what = match[1], kind
        yield Event(stage, what, line)


def calm(
    lines: Iterable[str], every: float = 3.0, clock: Callable[[], float] = time.monotonic
) -> Iterator[str]:
    """The lines, but of a progress bar's only one in `every` seconds, and its last."""
    shown, held = -every, None
    for line in lines:
        if _PROGRESS.search(line.rstrip()):
            now = clock()
            if now - shown < every:
                held = line
                continue
            shown = now
        elif line.strip() and held:
            yield held
            shown = -every
        if line.strip():
            held = None
            yield line
    if held:
        yield held


def _said(lines: list[str]) -> list[str]:
    """What a failed run has to say: the stage's own last words and DVC's, without progress."""
    plain = [
        line for line in lines if line.strip() and not line.startswith(PLAN) and not _PROGRESS.search(line)
    ]
    dvc = next((line for line in reversed(plain) if line.startswith("ERROR:")), "")
    own = [line for line in plain if line != dvc and not line.startswith(">")]
    word = next(
        (line for line in reversed(own) if line.startswith("adrefine: error:")), own[-1] if own else ""
    )
    return [": ".join(filter(None, [dvc.removeprefix("ERROR: "), word]))]
