"""Files and folders that survive a kill at any moment: there whole, on the disk, or not there at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adrefine.errors import UserError


def write_durably(path: Path, content: bytes) -> None:
    """Write `content` to `path`: whole or not at all, and on the disk when this returns.

    A kill may leave the hidden file `.<name>.part` beside it; the next call for `path` replaces that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move_folder(scratch: Path, folder: Path) -> None:
    """Make `scratch`, complete, the new `folder` in one step, once everything in it is on the disk."""
    for path in scratch.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(scratch)
    os.rename(scratch, folder)
    sync_folder(folder.parent)


def point(link: Path, target: str) -> None:
    """Make `link` lead to `target` (relative to its folder), from one moment to the next."""
    fresh = link.with_name(f".{link.name}.part")
    if fresh.is_symlink():
        fresh.unlink()
    fresh.symlink_to(target)
    os.replace(fresh, link)
    sync_folder(link.parent)


def fresh_folder(path: Path) -> Path:
    """An empty folder; what a killed run left in it is removed."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold `path` for this process alone; the system lets go of it however the process ends.

    Raises:
        UserError: another process holds it; begins with `busy`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{busy}: wait until it has ended") from None
        yield
