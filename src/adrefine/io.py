"""Files that appear whole or not at all, and byte for byte the same for the same content."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from adrefine import cells
from adrefine.errors import UserError, explained

if TYPE_CHECKING:  # only their names: most who write files do not need the half second of their import
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_RUNS, _LEFT = 3, 16  # zlib's Z_RLE and libpng's PNG_FILTER_SUB

PART = ".part"  # ends the name of a file that is being written
_PREFIX = 60  # characters of its own name in that
_PATIENCE = 60.0  # seconds to wait for somebody who changes a small file


@contextmanager
def atomic_open(path: Path, durable: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` only when the block ends without an error.

    Until then it has a random name beside it, which nobody else can have put a link at; a kill may leave
    that, as `.<name>.*.part`. If `path` is a link, the link is replaced, not what it leads to (`followed`).

    Args:
        durable: the file and its name are on the disk when the block has ended.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:_PREFIX]}.", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, Exception) and (line := explained(error, path.parent)):
            raise UserError(line) from error
        raise
    if durable:
        sync_folder(path.parent)


def followed(path: Path) -> Path:
    """The file that a link leads to: for files that belong to the user, whose links are to stay. Not for
    folders that others may write to."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


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


class Damaged(UserError, ValueError):
    """A file that a stage or command of ours wrote is not as it was written."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged ({why}): {_remedy(path)}")


def _remedy(path: Path) -> str:
    if path.parts[:1] == ("promoted",):
        return "put back a copy of it; photos and models beside it are not lost"
    return "delete it and run `dvc repro`"


def content(path: Path) -> bytes:
    """The bytes of a file of settings or results.

    Raises:
        OSError: it cannot be read. UserError: it is a pipe or a device, on which to wait would be for ever.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UserError(f"{path} is a pipe or a device, not a file: remove it")
        return file.read()


def read_json(path: Path, kind: type | tuple[type, ...] = dict) -> Any:
    """Read a JSON file that holds a `kind`.

    Raises:
        Damaged: it is none, or holds something else.
    """
    try:
        made = json.loads(content(path))
    except (ValueError, RecursionError):
        raise Damaged(path, "no JSON") from None
    if not isinstance(made, kind):
        raise Damaged(path, f"it holds a {type(made).__name__}")
    return made


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """What is read from `path` in the block, and not there, or of another kind, says that it is damaged.

    Raises:
        Damaged: so it is.
    """
    try:
        yield
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(path, f"{type(error).__name__}: {' '.join(str(error).split())[:80]}") from None


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table atomically: no index, `\\n` line ends, floats with 7 significant digits, no cell that a
    spreadsheet takes for a formula (`cells.tame`)."""
    text = cells.tamed(table).to_csv(
        index=False, lineterminator="\n", float_format="%.7g", quoting=csv.QUOTE_MINIMAL
    )
    write_text(path, text)


def read_csv(path: Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """Read a table that `write_csv` wrote.

    Args:
        columns: must be there. options: of `pandas.read_csv`.

    Raises:
        UserError: it is missing or damaged, or a column is missing.
    """
    import pandas as pd

    try:
        if options.get("nrows") is None:
            _refuse_ragged(path)
        table = pd.read_csv(path, **options)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run `dvc repro` to make it") from None
    except (
        ValueError,
        OverflowError,
        csv.Error,
    ) as error:  # UnicodeDecodeError and what pandas raises among them
        raise Damaged(path, " ".join(str(error).split())[:80] or "no table") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise Damaged(path, f"no column {', '.join(missing)}")
    return cells.untamed(table)


def _refuse_ragged(path: Path) -> None:
    """Raise ValueError if two columns have one name or a row has not as many cells as the first: pandas
    renames columns, moves longer rows and fills up shorter ones, without a word."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, strict=True)
        names = next(rows, [])
        if len(set(names)) < len(names) or "" in names[1:]:  # the first may be an index of pandas
            raise ValueError("a column without a name, or two of one")
        width = len(names)
        for row in rows:
            if row and len(row) != width:
                raise ValueError(f"line {rows.line_num} has {len(row)} cells, the first has {width}")


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
    with changing(report):
        write_json(report, {**timings(report), key: entry})


def timings(report: Path) -> dict[str, Any]:
    """What `timed` has recorded in `report` so far; nothing, if it is damaged: it can be measured again."""
    try:
        recorded: dict[str, Any] = read_json(report)
    except (OSError, ValueError):
        return {}
    return recorded


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Pixels (h, w) or (h, w, 3) as PNG: runs of differences to the left neighbour.

    On photos it takes a third of the time of zlib's quickest level, and is smaller.
    """
    import imagecodecs
    import numpy as np

    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=1, strategy=_RUNS, filter=_LEFT))


def write_durably(path: Path, content: bytes) -> None:
    """Write `content` to `path`: whole or not at all, and on the disk when this returns."""
    with atomic_open(path, durable=True) as file:
        file.write(content)


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed writers of files in `folder`, whose names begin with `name`, left there. The caller
    makes sure that none is at work."""
    for rest in folder.glob(f".{glob.escape(name)}*{PART}"):
        rest.unlink(missing_ok=True)


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
def locked(path: Path, busy: str, patience: float = 0.0) -> Iterator[None]:
    """Hold `path` for this process alone; the system lets go of it however the process ends.

    Args:
        path: made if it is missing, and left. busy: begins the message. patience: seconds to wait.

    Raises:
        UserError: another process holds it.
    """
    import fcntl  # not on Windows

    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    end = time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise UserError(f"{busy}: wait until it has ended") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(file)


def changing(path: Path) -> AbstractContextManager[None]:
    """Hold the file `path` while it is read, changed and written by this process alone: a hidden lock beside
    what it leads to. Others wait."""
    there = followed(path)
    return locked(there.with_name(f".{there.name}.lock"), f"another program is changing {path}", _PATIENCE)
