"""Which files `adrefine predict` was asked for, in an order that does not change."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from adrefine.datasets.formats import PICTURES, SUFFIXES
from adrefine.errors import UserError


def named(arguments: Iterable[str]) -> Iterator[Path]:
    """The photos that `arguments` name, one after the other: files as they are, folders with all pictures
    below them, also those of a kind that is not read and links that lead nowhere, patterns (`**` stands for
    any folders); sorted.

    Raises:
        UserError: one of the arguments names nothing.
    """
    for text in arguments:
        path = Path(text)
        if path.is_file():
            yield path
            continue
        files = _below(path) if path.is_dir() else map(Path, sorted(glob.iglob(text, recursive=True)))
        nothing = True
        for file in files:
            if _is_photo(file) if path.is_dir() else file.is_file():
                nothing = False
                yield file
        if nothing:
            what = "holds no picture" if path.is_dir() else "is no file, no folder and no pattern of any"
            raise UserError(f"{text} {what}: give photos, folders or patterns such as 'new/*.png'")


def _below(folder: Path) -> Iterator[Path]:
    """Files below a folder, hidden ones left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names))


def _is_photo(file: Path) -> bool:
    known = file.suffix.lower() in SUFFIXES | PICTURES and not file.name.startswith(".")
    return known and (file.is_file() or not file.exists())
