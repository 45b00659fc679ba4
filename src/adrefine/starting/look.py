"""A first look at somebody's photos, in seconds: layout, counts, sizes, what is unreadable or there twice."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from adrefine import datasets
from adrefine.datasets import files
from adrefine.errors import UserError
from adrefine.ingestion import decode, hints, sources
from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.preparation import size_of
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

ENOUGH = 64  # pixels a side that are decoded to see whether a photo is whole
_NAMED = 3  # files that a line names


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        layout: as dataset.name takes it. root: as given. photos, good, defective, masks: counts.
        looked: how many were opened in the time. sizes: (width, height) and how many of those have it.
        unreadable: source and reason. twice: source and the file with the same content.
        odd: photos of a rare size. warnings: of the layout. files: what became of every file, a line.
    """

    layout: str
    root: Path
    photos: int
    good: int
    defective: int
    masks: int
    looked: int = 0
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    twice: list[tuple[str, str]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: str = ""

    def lines(self) -> list[str]:
        """For people."""
        known = f"{self.good:,} good, {self.defective:,} defective"
        labels = known if self.good + self.defective else "unlabelled"
        masks = f", {self.masks:,} masks" if self.masks else ""
        told = f"{self.root}: layout {self.layout}, {self.photos:,} photos: {labels}{masks}"
        return [told, self.seen(), *self.problems()]

    def seen(self) -> str:
        """How many were looked at, and their sizes."""
        sizes = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{w} x {h} ({count:,})" for (w, h), count in sizes[:_NAMED])
        more = f", and {len(sizes) - _NAMED} more" if len(sizes) > _NAMED else ""
        return f"looked at {self.looked:,} of {self.photos:,}: {shown or 'no size'}{more}"

    def problems(self) -> list[str]:
        """What is wrong or odd, a line each."""
        text = []
        bad = [f"{name} ({reason})" for name, reason in self.unreadable]
        same = [f"{name} = {other}" for name, other in self.twice]
        for count, what, named in (
            (len(bad), "cannot be read, and will be set aside", bad),
            (len(same), "are there twice, and used once", same),
            (len(self.odd), "have an odd size", self.odd),
        ):
            if count:
                text.append(f"{count} {what}: {files.listed(named, _NAMED)}")
        return text + self.warnings


def guess(root: Path) -> str:
    """The layout of the photos below `root`.

    Raises:
        UserError: there are several products, a folder each.
    """
    inside = set(files.folders(root))
    if {"train", "test"} <= inside:
        if any(name.endswith("_GT.png") for name in files.photos(root, "train")):
            return "ksdd2"
        if "good" in files.folders(root / "train"):
            return "mvtec"
    if "MT_Free" in inside:
        return "mtd"
    if (root.resolve().parent / "split_csv").is_dir():
        return "visa"
    products = [name for name in sorted(inside) if (root / name / "train" / "good").is_dir()]
    if products:
        raise UserError(
            f"{root} holds {len(products)} products, a folder each: make a project of each, such as "
            f"`adrefine init {products[0]} --photos {root / products[0]}`"
        )
    return "folder"


def look(params: Dataset, seconds: float) -> Look:
    """Count all photos, and open as many as can be in so many seconds, spread over all of them.

    Raises:
        UserError: the photos are not laid out as `params` says.
    """
    root, table, warnings, account = datasets.read(params)
    labels = Counter(table["label"].tolist())
    counted = account.line()
    names = table["source"].tolist()
    order = np.random.default_rng(0).permutation(len(names))
    seen = _opened(root, (names[place] for place in order), params, seconds)
    sizes, rare = Counter(seen.sizes.values()), hints.rare_sizes(list(seen.sizes.values()))
    return Look(
        params.name,
        Path(params.root),
        len(names),
        labels[GOOD],
        labels[DEFECT],
        account.masks,
        seen.count,
        dict(sizes),
        sorted(seen.unreadable),
        _twice(seen.contents),
        sorted(name for name, size in seen.sizes.items() if size in rare),
        warnings,
        counted,
    )


@dataclass
class _Seen:
    """Sizes by source, what cannot be read, digests of the content."""

    count: int = 0
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)


def _opened(root: Path, names: Iterable[str], params: Dataset, seconds: float) -> _Seen:
    seen, end, there = _Seen(), time.monotonic() + seconds, root.resolve()
    for name in names:
        if time.monotonic() > end:
            break
        seen.count += 1
        try:
            data = sources.read_bytes(there, name, params.max_megapixels, params.follow_links)
            seen.contents[name] = hashlib.sha256(data).digest()
            seen.sizes[name] = size_of(decode.read(data, params.max_megapixels, ENOUGH))
        except BadPhoto as error:
            seen.unreadable.append((name, str(error)))
    return seen


def _twice(contents: dict[str, bytes]) -> list[tuple[str, str]]:
    """Files of the same content among those that were opened: the later by name, and the first."""
    first: dict[bytes, str] = {}
    twice = []
    for name in sorted(contents):
        other = first.setdefault(contents[name], name)
        if other != name:
            twice.append((name, other))
    return twice
