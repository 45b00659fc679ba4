"""Every file below a dataset's root is something: a photo, a mask, or left out for a reason that is said."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from adrefine.datasets import files, hdf5, pairing
from adrefine.datasets.base import Layout
from adrefine.datasets.formats import SUFFIXES, UNREAD
from adrefine.text import counted

COLUMNS = ("source", "reason")
_HIDDEN = "hidden"
_MAGIC = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"RIFF",
    b"\0\0\0\x0cjP",
    b"GIF8",
    *(b"P%d\n" % number for number in range(1, 7)),
)
_RENAME = "rename it to .png, .jpg, .tif or what it is"
_SHOWN = 3  # reasons that one line names


@dataclass(frozen=True)
class Account:
    """What became of the files below a root, before any is decoded.

    Attributes:
        total: all files, hidden ones too.
        photos, masks: those that are read; masks of photos in the table.
        ignored: COLUMNS, the rest, sorted by source.
        lost: number of pictures among those, by reason, and the first of each: what somebody may miss.
    """

    total: int
    photos: int
    masks: int
    ignored: pd.DataFrame
    lost: dict[str, tuple[int, str]] = field(default_factory=dict)

    def warnings(self) -> list[str]:
        """A line if pictures are left out."""
        if not self.lost:
            return []
        count = sum(number for number, _ in self.lost.values())
        most = sorted(self.lost.items(), key=lambda item: (-item[1][0], item[0]))
        named = [f"{reason} ({number}, such as {first})" for reason, (number, first) in most[:_SHOWN]]
        rest = f"; and {len(most) - _SHOWN} more reasons" if len(most) > _SHOWN else ""
        return [f"{counted(count, 'picture')} not used: {'; '.join(named)}{rest}"]

    def line(self) -> str:
        """How many files are what."""
        return f"{self.total} files: {self.photos} photos, {self.masks} masks, {len(self.ignored)} ignored"


def of(root: Path, table: pd.DataFrame, kind: Layout) -> Account:
    """Account for the files below `root`, of which `table` (SCAN_COLUMNS) names those that are read."""
    photos = set(table["source"])
    masks = {mask for text in table["mask_source"] for mask in pairing.split(text)} - photos
    rows: list[tuple[str, str]] = []
    lost: dict[str, tuple[int, str]] = {}
    total = 0
    inside = {row[0] for row in map(hdf5.parts_of, photos) if row}
    for name in files.everything(root):
        total += 1
        if name in photos or name in masks or name in inside:
            continue
        reason, matters = _reason(root, name, kind)
        rows.append((name, reason))
        if matters:
            number, first = lost.get(reason, (0, name))
            lost[reason] = (number + 1, first)
    return Account(total, len(photos), len(masks), pd.DataFrame(sorted(rows), columns=list(COLUMNS)), lost)


def nothing(root: Path) -> str:
    """What lies below a root that holds no photo, for the message."""
    suffixes: dict[str, int] = {}
    for name in files.everything(root):
        suffix = PurePosixPath(name).suffix.lower()
        if not _hidden(name) and suffix not in SUFFIXES and (suffix in UNREAD or _is_picture(root / name)):
            suffixes[suffix] = suffixes.get(suffix, 0) + 1
    named = [
        f"{count} {suffix or 'without a suffix'} ({UNREAD.get(suffix, _RENAME)})"
        for suffix, count in sorted(suffixes.items())
    ]
    return f"; not read: {files.listed(named)}" if named else ""


def _reason(root: Path, name: str, kind: Layout) -> tuple[str, bool]:
    """Why a file is left out, and whether it is a picture that somebody may miss."""
    if _hidden(name):
        return _HIDDEN, False
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in UNREAD:
        return f"{suffix} is not read: {UNREAD[suffix]}", True
    if suffix in SUFFIXES:
        reason = kind.unused(root, name)
        return reason, not reason.startswith("a mask: ")
    if _is_picture(root / name):
        return (
            f"a picture with the suffix {suffix or '(none)'}: {_RENAME}",
            True,
        )
    return f"not a photo ({suffix or 'no suffix'})", False


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/")) or name.rpartition("/")[2] == "Thumbs.db"


def _is_picture(path: Path) -> bool:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with path.open("rb") as file:
            head = file.read(12)
            return head.startswith(_MAGIC) or head[4:11] in (b"ftyphei", b"ftypavi", b"ftypmif")
    except OSError:
        return False


def reasons(ignored: Iterable[str]) -> dict[str, int]:
    """How many files were left out for each reason."""
    counts: dict[str, int] = {}
    for reason in ignored:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items()))
