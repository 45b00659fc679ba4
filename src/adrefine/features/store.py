"""What a frozen backbone saw, on disk: memory-mapped float16 arrays and the image of each of their rows."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import islice, product
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from adrefine import io
from adrefine.errors import UserError
from adrefine.features import shards
from adrefine.io import read_csv, read_json, write_csv, write_json
from adrefine.runtime.opened import opened

Numbers = npt.NDArray[np.int64]
_OPEN = 256  # files at a time: the system allows a process about 1,000


class Rows:
    """Read-only arrays on disk with a row an image: `<name>.npy` float16, `index.csv` (image_id by row, and
    the kind of a synthetic defect, empty of a photo) and `meta.json`. Rows are read on demand: opening arrays
    of any size costs no memory for their content.

    More than `shards.MOST` images are in several files, `<name>-0000.npy` and on; `shards` of the meta has
    the rows of each.
    """

    arrays: tuple[str, ...]

    def __init__(self, folder: Path) -> None:
        if not (folder / "meta.json").exists():
            raise UserError(f"{folder} holds no {self.arrays[0]}: run `dvc repro embed`")
        self.folder, self.meta = folder, read_json(folder / "meta.json")
        index = read_csv(folder / "index.csv", ("image_id",), dtype=str, keep_default_na=False)
        self.ids = index["image_id"].tolist()
        self._row = {image_id: row for row, image_id in enumerate(self.ids)}
        self._kinds: list[str] = index["kind"].tolist() if "kind" in index else [""] * len(index)
        self._sizes: list[int] = self.meta.get("shards", [len(self.ids)])
        self._starts = np.cumsum([0, *self._sizes])
        self._content = lru_cache(_OPEN)(self._load)
        for name, shard in product(self.arrays, range(len(self._sizes))):
            self._content(name, shard)

    def __reduce__(self) -> tuple[object, ...]:
        """To another process goes where it is, not what is in it."""
        return opened, (type(self), self.folder / "meta.json", self.folder)

    def _load(self, name: str, shard: int) -> np.ndarray:
        file = self.folder / shards.file_name(name, shard, len(self._sizes))
        try:
            rows: np.ndarray = np.load(file, mmap_mode="r")
        except Exception as error:  # the header is a Python literal, which can be broken in many ways
            raise io.Damaged(file, " ".join(str(error).split())[:80]) from None
        fits = len(rows) == self._sizes[shard] and self._starts[-1] == len(self.ids)
        if rows.dtype != np.float16 or rows.ndim < 2 or not fits:
            raise io.Damaged(file, "of another shape than its index")
        return rows

    def has(self, ids: Iterable[str]) -> bool:
        """Whether all of `ids` are here."""
        return all(image_id in self._row for image_id in ids)

    def kinds(self, ids: Iterable[str]) -> list[str]:
        """Kind (n) of the synthetic defect of each image; "" of a photo."""
        return [self._kinds[row] for row in self._rows(ids)]

    def read(self, name: str, ids: Iterable[str]) -> np.ndarray:
        """Rows (n, ...) float16 of the array `name`, of the images `ids` in that order."""
        rows = self._rows(ids)
        if len(self._sizes) == 1:
            return np.asarray(self._content(name, 0)[rows])
        found = np.empty((len(rows), *self._content(name, 0).shape[1:]), np.float16)
        for shard, places in self._shards(rows):
            found[places] = self._content(name, shard)[rows[places] - self._starts[shard]]
        return found

    def split(self, ids: Sequence[str]) -> list[Numbers]:
        """Places of `ids` in each shard that has some; one empty list of places of none."""
        return [places for _, places in self._shards(self._rows(ids))] or [np.empty(0, np.int64)]

    def _shards(self, rows: Numbers) -> list[tuple[int, Numbers]]:
        """The shards that have some of `rows`, and which of them."""
        own = np.searchsorted(self._starts, rows, side="right") - 1
        return [(int(shard), np.flatnonzero(own == shard)) for shard in np.unique(own)]

    def _rows(self, ids: Iterable[str]) -> Numbers:
        try:
            return np.array([self._row[image_id] for image_id in ids], dtype=np.int64)
        except KeyError as error:
            raise UserError(
                f"{self.folder} has no {self.arrays[0]} of image {error}: run `dvc repro embed`"
            ) from None


class Store(Rows):
    """Read-only pooled vectors: `features` (n, views, dim)."""

    arrays = ("features",)

    def vectors(self, ids: Iterable[str]) -> np.ndarray:
        """Features (n, views, dim) float32 of the images `ids`, in that order."""
        return self.read("features", ids).astype(np.float32)


S = TypeVar("S", bound=Rows)


def open_store(folder: Path) -> Store:
    """The vectors in `folder`; see `opened`."""
    return opened(Store, folder / "meta.json", folder)


def write_store(
    folder: Path,
    ids: list[str],
    vectors: Iterable[np.ndarray],
    shape: tuple[int, ...],
    meta: Mapping[str, object],
    sizes: Sequence[int] = (),
) -> None:
    """Stream `vectors` (each (views, dim) = `shape`) of the images `ids`; see `write_rows`."""
    write_rows(folder, ids, ((vector,) for vector in vectors), {"features": shape}, meta, sizes)


def write_rows(
    folder: Path,
    ids: list[str],
    rows: Iterable[tuple[np.ndarray, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    meta: Mapping[str, object],
    sizes: Sequence[int] = (),
    kinds: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Stream arrays to disk, see `Rows`.

    Args:
        rows: of each of the images `ids`, one array for each of `shapes`.
        shapes: by an array's name, the shape of one row of it.
        sizes: rows of each shard, see `shards.arranged`; by default all in one.
        kinds: of the images that are synthetic defects, by id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not ids:
        raise UserError("there is no image to embed: data/ingested/manifest.csv is empty")
    for file in (folder / "meta.json", *(file for name in shapes for file in folder.glob(f"{name}*.npy"))):
        file.unlink(missing_ok=True)  # not changed in place: somebody may have them open
    sizes, waiting = sizes or [len(ids)], iter(rows)
    for shard, size in enumerate(sizes):
        targets = [
            _room(folder / shards.file_name(name, shard, len(sizes)), (size, *shape))
            for name, shape in shapes.items()
        ]
        for row, parts in enumerate(islice(waiting, size)):
            for target, part in zip(targets, parts, strict=True):
                target[row] = part
        for target in targets:
            target.flush()
    index = {"image_id": ids, "kind": [kinds.get(image_id, "") for image_id in ids]}
    write_csv(folder / "index.csv", pd.DataFrame(index))
    several = {"shards": list(sizes)} if len(sizes) > 1 else {}
    write_json(folder / "meta.json", {**meta, **several})  # last: a store without it is not complete


def _room(file: Path, shape: tuple[int, ...]) -> np.memmap:
    """An array on the disk for rows to come."""
    target: np.memmap = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
    _reserve(file)
    return target


def _reserve(file: Path) -> None:
    """Make sure that the disk has room for it: written through memory, a full one would end the process
    without a word."""
    with file.open("r+b") as made:
        os.posix_fallocate(made.fileno(), 0, file.stat().st_size)


_TABLE = "vectors (key TEXT PRIMARY KEY, value BLOB, sum INTEGER) WITHOUT ROWID"


def _sum(key: str, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key.encode()))


class VectorCache:
    """Content-addressed vectors, one SQLite file per configuration; a kill loses one transaction at most.

    Keys are digests of the image file. With each vector lies its check sum: what was damaged is missing, and
    made anew. Deleting the file costs time, never correctness.
    """

    def __init__(self, folder: Path, config: str, shape: tuple[int, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{hashlib.sha256(config.encode()).hexdigest()[:16]}.sqlite"
        self.shape = shape
        try:
            self._create()
        except io.Damaged:
            self.path.unlink()
            self._create()

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that are not stored."""
        with self._open() as db:
            query = "SELECT value, sum FROM vectors WHERE key=?"
            return [key for key in keys if not self._whole(key, db.execute(query, (key,)).fetchone())]

    def _whole(self, key: str, row: tuple[object, object] | None) -> bool:
        """Whether a row is as it was put."""
        value, total = row or (None, None)
        return isinstance(value, bytes) and len(value) == 2 * prod(self.shape) and total == _sum(key, value)

    def put(self, items: Iterable[tuple[str, np.ndarray]]) -> None:
        """Store vectors (views, dim) by key in one transaction."""
        rows = [(key, np.ascontiguousarray(value, dtype=np.float16).tobytes()) for key, value in items]
        with self._open() as db:
            summed = [(key, value, _sum(key, value)) for key, value in rows]
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", summed)

    def stream(self, keys: Iterable[str]) -> Iterator[np.ndarray]:
        """Vectors (views, dim) float16 of `keys`, one at a time, in their order."""
        with self._open() as db:
            for key in keys:
                (blob,) = db.execute("SELECT value FROM vectors WHERE key=?", (key,)).fetchone()
                yield np.frombuffer(blob, dtype=np.float16).reshape(self.shape)

    def _create(self) -> None:
        with self._open() as db:
            db.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE}")
            made = [sql for (sql,) in db.execute("SELECT CAST(sql AS BLOB) FROM sqlite_master")]
        if made != [f"CREATE TABLE {_TABLE}".encode()]:
            raise io.Damaged(self.path, "its table is not the one that was made")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as db, db:
                yield db
        except sqlite3.OperationalError as error:  # full, read-only, locked
            raise UserError(f"{self.path}: {error}: make room there, or set ADREFINE_CACHE_DIR") from None
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # or its message is damaged, too
            raise io.Damaged(self.path, str(error)) from None
