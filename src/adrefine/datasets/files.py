"""Finding files below a dataset's root, the same way for every layout."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from adrefine.datasets.base import SCAN_COLUMNS
from adrefine.datasets.formats import SUFFIXES
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.runtime.seeds import drawn

_FROM_INBOX = re.compile(r"inbox-[0-9a-f]{16}-")
_LONGEST = 200  # bytes of a name; file systems end at 255
_UNUSABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, bytes that are not UTF-8


def need_folder(path: Path, remedy: str) -> Path:
    """The folder `path`.

    Raises:
        UserError: it is missing or not a folder; `remedy` says what to do.
    """
    if not path.is_dir():
        raise UserError(f"{path} is {'not a folder' if path.exists() else 'missing'}: {remedy}")
    return path


def folders(path: Path) -> list[str]:
    """Names of the folders in `path`, sorted, hidden ones left out."""
    return sorted(entry.name for entry in _entries(path) if _is_folder(entry))


def photos(root: Path, folder: str, suffixes: Set[str] = SUFFIXES) -> list[str]:
    """Image files directly in `root/folder`, as sorted paths relative to the root. A link counts as what it
    leads to: ingest decides whether to follow it."""
    return [
        f"{folder}/{entry.name}"
        for entry in _entries(root / folder)
        if not _is_folder(entry) and Path(entry.name).suffix.lower() in suffixes
    ]


def photos_below(root: Path, folder: str) -> list[str]:
    """Image files in `root/folder` ("" for the root) and its sub-folders, sorted. A link to a folder is
    listed itself, so that ingest can say that it is not followed."""
    files = []
    for entry in _entries(root / folder):
        name = f"{folder}/{entry.name}" if folder else entry.name
        if _is_folder(entry) and not entry.is_symlink():
            files += photos_below(root, name)
        elif _is_folder(entry) or Path(entry.name).suffix.lower() in SUFFIXES:
            files.append(name)
    return sorted(files)


def everything(root: Path, folder: str = "") -> Iterator[str]:
    """Every file below the root, hidden ones too, and links to folders, which are not followed: paths
    relative to the root, in the order of their names. No file is opened."""
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{root / folder} cannot be read: {error.strerror}") from None
    for entry in entries:
        name = f"{folder}/{entry.name}" if folder else entry.name
        if _is_folder(entry) and not entry.is_symlink():
            yield from everything(root, name)
        else:
            yield name


def listed(names: list[str], most: int = 5) -> str:
    """Names for a message."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def held_out(source: str, params: Any) -> bool:
    """Whether a good photo is one of the `test_fraction` held out for testing: decided by its own path and
    the seed alone, so that adding a photo moves no other. Never one from the inbox: nobody has looked at it.
    """
    return not from_inbox(source) and drawn(params.test_fraction, "test", params.seed, source)


def variant(params: Any, known: tuple[str, ...]) -> str:
    """The variant of a published split that `dataset.variant` names, one of `known`; empty: the first.

    Raises:
        UserError: there is none of that name.
    """
    if params.variant and params.variant not in known:
        raise UserError(f"dataset.variant = {params.variant!r}: use one of {', '.join(known)}")
    return params.variant or known[0]


def from_inbox(source: str) -> bool:
    """Whether the inbox flow brought this photo, which is believed to be good, not known to be."""
    return _FROM_INBOX.match(PurePosixPath(source).name) is not None


def inbox_name(sha256: str, name: str) -> str:
    """File name in the dataset of a photo from the inbox: its image_id, then its own name. The same photo
    gets the same name each time, another photo another one."""
    return f"inbox-{sha256[:16]}-{tame_name(name)}"


def tame_name(name: str) -> str:
    """A file's name without what no table can hold, and not too long for a disk."""
    stem, suffix = _UNUSABLE.sub("_", PurePosixPath(name).stem), PurePosixPath(name).suffix
    return stem.encode()[:_LONGEST].decode(errors="ignore") + suffix


def row(
    source: str, split: str, label: int, mask_source: str = "", defect_type: str = "", part: str = ""
) -> dict[str, object]:
    """One row of SCAN_COLUMNS."""
    return {
        "source": source,
        "mask_source": mask_source,
        "split": split,
        "label": label,
        "defect_type": defect_type,
        "part": part,
    }


def as_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """The rows as SCAN_COLUMNS, sorted by source."""
    return pd.DataFrame(rows, columns=list(SCAN_COLUMNS)).sort_values("source", ignore_index=True)


def tally(table: pd.DataFrame) -> dict[str, int]:
    """Photos by `good`, `defect`, `<split> good`, `<split> defect` and by type of defect."""
    names = {GOOD: "good", DEFECT: "defect"}
    counts: dict[str, int] = {}
    for split, label, kind in zip(table["split"], table["label"], table["defect_type"], strict=True):
        for key in {names.get(label, "unlabelled"), f"{split} {names.get(label, 'unlabelled')}", kind} - {""}:
            counts[key] = counts.get(key, 0) + 1
    return counts


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: ingest lists it among the unreadable photos
        return False


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    for entry in entries:
        if _UNUSABLE.search(entry.name):
            raise UserError(
                f"{path}: the file name {entry.name!r} has characters that cannot be written to a "
                "table: rename it"
            )
    return sorted(entries, key=lambda entry: entry.name)
