"""What is wrong with DVC's and git's own files in a project: mended where that is safe, else named."""

from __future__ import annotations

from pathlib import Path

from adrefine.dvc_driver import left, lockfile, locks
from adrefine.errors import UserError


def mend(root: Path = Path()) -> list[str]:
    """Put right what a killed DVC left of its files, unless a DVC is at work; a line for each thing done."""
    done = [locks.mend(root)]
    if locks.holder(root) is None:
        done.append(lockfile.mend(root))
    return [line for line in done if line]


def look(root: Path = Path()) -> str | None:
    """The DVC that is at work here, in a line; None: there is none, and all is as it should be.

    Raises:
        UserError: a killed `dvc exp run` left something that the user has to put right.
    """
    busy = locks.holder(root)
    if busy is None and (line := left.left_behind(root)):
        raise UserError(line)
    return busy
