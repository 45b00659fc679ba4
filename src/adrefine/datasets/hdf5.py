"""Rows of HDF5 datasets as photos: `file.hdf5::key/12` is row 12 of the dataset `key` of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from adrefine import io
from adrefine.errors import UserError

SUFFIXES = frozenset({".hdf5", ".h5"})
_ROW = re.compile(r"(.+\.(?:hdf5|h5))::(.+)/(\d+)", re.IGNORECASE)


def name_of(file: str, key: str, row: int) -> str:
    """The source of a row."""
    return f"{file}::{key}/{row}"


def parts_of(source: str) -> tuple[str, str, int] | None:
    """File, key and row of a source; None if it is a plain file's."""
    match = _ROW.fullmatch(source)
    return (match[1], match[2], int(match[3])) if match else None


def png(path: Path, key: str, row: int) -> bytes:
    """A row as the bytes of a PNG, grey; a mask of zeros and ones as such.

    Raises:
        OSError: the file cannot be read.
        KeyError, IndexError: it has no such dataset or row.
    """
    pixels = opened(path.resolve(), path.stat().st_mtime_ns)[key]
    if row >= len(pixels):
        raise IndexError(f"{key} has {len(pixels)} rows")
    return io.png(pictures(pixels[row][None])[0])


def pictures(rows: np.ndarray) -> np.ndarray:
    """Rows (n, h, w) uint8 of an array (n, h, w), (n, h, w, 1) or (n, 1, h, w); truth becomes 0 or 1."""
    if rows.ndim == 4:
        rows = rows[..., 0] if rows.shape[-1] == 1 else rows[:, 0]
    return rows.astype(np.uint8)


@lru_cache(maxsize=4)
def opened(path: Path, changed: int) -> Any:
    """The file, opened once by each process; `changed`: its time, so that a new one is read anew.

    Raises:
        UserError: h5py is not installed, or this is no HDF5 file.
    """
    try:
        import h5py  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise UserError(f"{path} can only be read with h5py: pip install 'adrefine[hdf5]'") from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as HDF5 ({reason}): download it again") from None


def arrays(path: Path) -> dict[str, Any]:
    """The datasets of pictures in a file by their key, at any depth: one channel of 8 bits."""
    by_key: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        shape: tuple[int, ...] = getattr(item, "shape", ())
        grey = len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3]))
        if grey and item.dtype in (np.uint8, np.bool_):
            by_key[name] = item

    opened(path.resolve(), path.stat().st_mtime_ns).visititems(visit)
    return by_key


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of `size` rows: single rows of a compressed file cost as much as a block."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
