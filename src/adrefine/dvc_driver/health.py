"""What is wrong with DVC's and git's own files in a project: mended where that is safe, else named."""

from __future__ import annotations

import os
from pathlib import Path

from adrefine.dvc_driver import left, lockfile, locks
from adrefine.errors import UserError


def mend(root: Path = Path()) -> list[str]:
    """Put right what a killed DVC left of its files, unless a DVC is at work, and follow an upgrade of the
    package; a line for each thing done."""
    from adrefine.starting import graph

    done = [locks.mend(root)]
    if locks.holder(root) is None:
        done += [lockfile.mend(root), graph.refresh(root)]
    return [line for line in done if line]


def advice(root: Path = Path()) -> list[str]:
    """What will stop some commands, though not `dvc repro`."""
    known = [left.git(root, "config", key) for key in ("user.name", "user.email")]
    if left.git(root, "rev-parse", "--git-dir") is None or all(known) or os.environ.get("GIT_AUTHOR_EMAIL"):
        return []
    return [
        "git does not know who you are, which `dvc exp run` needs: git config --global user.name NAME && "
        "git config --global user.email ADDRESS"
    ]


def look(root: Path = Path()) -> str | None:
    """The DVC that is at work here, in a line; None: there is none, and all is as it should be.

    Raises:
        UserError: a killed `dvc exp run` left something that the user has to put right.
    """
    busy = locks.holder(root)
    if busy is None and (line := left.left_behind(root)):
        raise UserError(line)
    return busy
