"""Files that appear whole or not at all, and byte for byte the same for the same content."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from adrefine.errors import UserError

if TYPE_CHECKING:  # only its name: most who write files do not need the half second of its import
    import pandas as pd


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_open(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` atomically, as UTF-8 with `\\n` line ends."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: indented, no NaN or infinity (they are not JSON)."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically: no index, `\\n` line ends, floats with 7 significant digits."""
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.7g", quoting=csv.QUOTE_MINIMAL)
    write_text(path, text)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def timed(report: Path, key: str, extra: Callable[[], dict[str, float]] | None = None) -> Iterator[None]:
    """Record the seconds of a block under `key` in `report` (timing.json, which no stage depends on)."""
    start = time.perf_counter()
    yield
    entry = {"seconds": round(time.perf_counter() - start, 3), **(extra() if extra else {})}
    write_json(report, {**timings(report), key: entry})


def timings(report: Path) -> dict[str, Any]:
    """What `timed` has recorded in `report` so far."""
    return read_json(report) if report.exists() else {}


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
    import fcntl  # not on Windows

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{busy}: wait until it has ended") from None
        yield
