"""A disk that fills up: a file system of a few kilobytes, in a name space of its own (Linux).

python -m benchmarks.reliability.disk FOLDER KIND   # what runs inside; prints the outcome
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from adrefine.errors import UserError, explained
from benchmarks.reliability import kills
from benchmarks.reliability.tally import LOST, REFUSED, RIGHT, TRACEBACK, Tally

_WORKS = {work.kind: work for work in (kills.ANSWERS, kills.SETTINGS, kills.INBOX, kills.PROMOTION)}


def all_of(count: int, rng: np.random.Generator) -> Iterator[Tally]:
    """Every kind of work on disks of random sizes: done, or refused in a line with all that was there whole;
    none is tried where the system gives no file system of our own."""
    for kind in _WORKS:
        tally = Tally(f"full disk: {kind}")
        if not _can_mount():
            count = 0
        for number in range(count):
            size = 4 * int(rng.integers(24, 80))
            with TemporaryDirectory() as folder:
                mount = f'mount -t tmpfs -o size={size}k t "$0"'
                inside = f'{mount} && exec "$1" -m benchmarks.reliability.disk "$0" "$2"'
                done = subprocess.run(
                    ["unshare", "-rm", "sh", "-c", inside, folder, sys.executable, kind],
                    capture_output=True,
                    text=True,
                    check=False,
                )
            told = done.stdout.strip().rpartition("\n")[2]
            outcome, _, what = told.partition(" ")
            if outcome not in (RIGHT, REFUSED, TRACEBACK, LOST):  # it died before it could say
                outcome, what = TRACEBACK, f"{done.returncode} {told} {done.stderr[-200:]}"
            tally.add(outcome, f"{kind} {number}, {size} kB: {what}")
        yield tally


def _can_mount() -> bool:
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs t /mnt"]
    return bool(shutil.which("unshare")) and not subprocess.run(command, capture_output=True).returncode


def main(folder: Path, kind: str) -> None:
    """Prepare where there is room, fill up, work; then make room and work again."""
    work = _WORKS[kind]
    calm = Path("/tmp") / f".calm-{folder.name}"
    work.prepare(calm)
    work.do(calm)
    wanted = work.end(calm)
    shutil.rmtree(calm)
    place, outcome = folder / "work", RIGHT
    try:
        work.prepare(place)
    except OSError:
        print(f"{REFUSED} no room for what is there before")
        return
    full = folder / "full"
    free = shutil.disk_usage(folder).free
    full.write_bytes(b"\0" * max(0, free - 4096 * (zlib.crc32(folder.name.encode()) % 6)))
    try:
        work.do(place)
    except UserError:
        outcome = REFUSED
    except Exception as error:
        outcome = REFUSED if explained(error) else f"{TRACEBACK} {type(error).__name__}: {error}"
    full.unlink()
    work.do(place)
    print(outcome if work.end(place) == wanted else f"{LOST} {outcome}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
