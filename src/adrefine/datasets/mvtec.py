"""MVTec AD, and every folder in its layout: one class of parts, for example `bottle`.

    train/good/000.png
    test/good/000.png
    test/<type>/000.png          ground_truth/<type>/000_mask.png (or 000.png; see `pairing`)

Good photos may be called otherwise (`ok`, `normal`; see `words`), letter case does not count, sub-folders are
searched: test/<type>/rgb/000.png of MVTec 3D AD, ground_truth/<type>/000/000.png of MVTec LOCO.

Counts: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, table 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from adrefine.datasets import files, pairing, words
from adrefine.datasets.base import Layout
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

# class: good photos in training, good photos in test, defective photos in test
OFFICIAL = {
    "bottle": (209, 20, 63),
    "cable": (224, 58, 92),
    "capsule": (219, 23, 109),
    "carpet": (280, 28, 89),
    "grid": (264, 21, 57),
    "hazelnut": (391, 40, 70),
    "leather": (245, 32, 92),
    "metal_nut": (220, 22, 93),
    "pill": (267, 26, 141),
    "screw": (320, 41, 119),
    "tile": (230, 33, 84),
    "toothbrush": (60, 12, 30),
    "transistor": (213, 60, 40),
    "wood": (247, 19, 60),
    "zipper": (240, 32, 119),
}


class MVTec(Layout):
    """One class of MVTec AD.

    Attributes:
        counts: official number of good training photos, good and defective test photos, by class.
    """

    counts: ClassVar[Mapping[str, tuple[int, int, int]]] = OFFICIAL

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`. A defective photo without mask has an empty `mask_source`."""
        remedy = "the mvtec layout needs train/good, test/good and test/<type of defect>"
        inside = [name for name in files.folders(root) if (root / name / "train" / "good").is_dir()]
        if inside:
            remedy = f"dataset.root must be the folder of one class, such as {root / inside[0]}"
        train, test = (_child(root, "", name) for name in ("train", "test"))
        files.need_folder(root / test, remedy)
        rows = [
            files.row(source, "train", GOOD)
            for folder in _good(root, train, remedy)
            for source in _photos(root, folder)[0]
        ]
        good = _good(root, test, remedy)
        kinds = [f"{test}/{name}" for name in files.folders(root / test)]
        return files.as_table(rows + _tested(root, kinds, good))

    def arrivals(self, root: Path) -> str:
        """See `Layout.arrivals`."""
        return next(iter(_good(root, _child(root, "", "train"), "")))

    def official(self, root: Path) -> dict[str, int]:
        """See `Layout.official`; the folder's name is the class."""
        counts = self.counts.get(root.resolve().name)
        return dict(zip(("train good", "test good", "test defect"), counts, strict=True)) if counts else {}

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`."""
        train = _child(root, "", "train")
        good = _good(root, train, "")
        unused = [f"{train}/{name}" for name in files.folders(root / train)]
        unused = [name for name in unused if name not in good]
        return (
            [f"{', '.join(unused)}: not used, the mvtec layout trains on train/good alone"] if unused else []
        )

    def unused(self, root: Path, source: str) -> str:
        """See `Layout.unused`."""
        folders = PurePosixPath(source).parts[:-1]
        if what := next(filter(None, map(words.no_photos, folders)), ""):
            return f"{what}, no photos"
        if any(map(words.is_mask_folder, folders)):
            return "a mask that belongs to no defective photo"
        if folders and folders[0].casefold() == "train":
            return "not in train/good, the only photos that the mvtec layout trains on"
        if folders and folders[0].casefold() == "test" and len(folders) > 1:
            return "a mask: of a photo that needs none"
        return "in none of train/good, test/<type> and ground_truth"


def _child(root: Path, folder: str, name: str) -> str:
    """The folder `name` in `root/folder`, whatever its letter case; `name` itself if there is none."""
    inside = files.folders(root / folder)
    child = name if name in inside else next((one for one in inside if one.casefold() == name), name)
    return f"{folder}/{child}" if folder else child


def _good(root: Path, folder: str, remedy: str) -> list[str]:
    """The folders of good photos in `folder`, by any name that says so."""
    inside = files.folders(root / folder) if (root / folder).is_dir() else []
    folders = [f"{folder}/{name}" for name in inside if words.label_of(name) == GOOD]
    return folders or [str(files.need_folder(root / folder / "good", remedy).relative_to(root).as_posix())]


def _photos(root: Path, folder: str) -> tuple[list[str], dict[str, str]]:
    """Photos below a folder, and the masks beside them."""
    names = [
        name
        for name in files.photos_below(root, folder)
        if not any(map(words.no_photos, PurePosixPath(name).parts[:-1]))
    ]
    return pairing.apart(root, names)


def _tested(root: Path, kinds: list[str], good: list[str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    keys: dict[str, list[pairing.Key]] = {}
    types: dict[str, str] = {}
    beside: dict[str, str] = {}
    for kind in kinds:
        photos, near = _photos(root, kind)
        if kind in good:
            rows += [files.row(source, "test", GOOD) for source in photos]
            continue
        beside |= near
        name = PurePosixPath(kind).name
        keys |= {source: [(name, *pairing.key(source, kind))] for source in photos}
        types |= dict.fromkeys(photos, name)
    masks = {
        mask: pairing.key(mask, folder)
        for folder in files.folders(root)
        if words.is_mask_folder(folder)
        for mask in files.photos_below(root, folder)
    }
    matched = pairing.match(keys, masks, set(keys))
    for mask, photo in beside.items():
        if photo:
            matched.setdefault(photo, []).append(mask)
    return rows + [
        files.row(source, "test", DEFECT, pairing.joined(matched.get(source, [])), kind)
        for source, kind in types.items()
    ]
