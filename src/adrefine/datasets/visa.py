"""VisA as published: `dataset.root` is the folder of one class, the split lies beside it.

    VisA/candle/Data/Images/{Normal/0000.JPG, Anomaly/000.JPG}   candle/Data/Masks/Anomaly/000.png
    VisA/split_csv/1cls.csv                                      object,split,label,image,mask

`dataset.variant`: `1cls` (nothing defective in training), `2cls_highshot` or `2cls_fewshot`, whose defective
training photos go to the split `pool`: they can be hidden or teach, and are never tested. Masks hold numbers
of classes: what is not 0 is a defect. Photos that the list does not name are left out.
Counts: split_csv/1cls.csv of the archive; Zou et al., "SPot-the-Difference", ECCV 2022.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.io import read_csv
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

VARIANTS = ("1cls", "2cls_highshot", "2cls_fewshot")
# class: good photos in training, good and defective ones in test, of 1cls
OFFICIAL = {
    "candle": (900, 100, 100),
    "capsules": (542, 60, 100),
    "cashew": (450, 50, 100),
    "chewinggum": (453, 50, 100),
    "fryum": (450, 50, 100),
    "macaroni1": (900, 100, 100),
    "macaroni2": (900, 100, 100),
    "pcb1": (904, 100, 100),
    "pcb2": (901, 100, 100),
    "pcb3": (905, 101, 100),
    "pcb4": (904, 101, 100),
    "pipe_fryum": (450, 50, 100),
}


class VisA(Layout):
    """One class of VisA."""

    def __init__(self) -> None:
        self.variant = VARIANTS[0]

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`."""
        self.variant = files.variant(params, VARIANTS)
        path = root.resolve().parent / "split_csv" / f"{self.variant}.csv"
        if not path.is_file():
            raise UserError(
                f"{path} is missing: dataset.root of visa is the folder of one class of the archive, such as "
                "VisA/candle, with VisA/split_csv beside it"
            )
        table = read_csv(path, ("object", *_COLUMNS), dtype=str, keep_default_na=False)
        own = table[table["object"] == root.resolve().name]
        return files.as_table([_row(path, *row) for row in zip(*(own[n] for n in _COLUMNS), strict=True)])

    def official(self, root: Path) -> dict[str, int]:
        """See `Layout.official`; of 1cls alone."""
        counts = OFFICIAL.get(root.resolve().name) if self.variant == VARIANTS[0] else None
        return dict(zip(("train good", "test good", "test defect"), counts, strict=True)) if counts else {}

    def unused(self, root: Path, source: str) -> str:
        """See `Layout.unused`."""
        return f"not named in split_csv/{self.variant}.csv"


_COLUMNS = ("split", "label", "image", "mask")
_LABELS = {"normal": GOOD, "anomaly": DEFECT}


def _row(path: Path, split: str, label: str, image: str, mask: str) -> dict[str, object]:
    """A row of the list; its paths begin with the folder of the class."""
    if split not in ("train", "test") or label not in _LABELS:
        raise UserError(f"{path}: the row of {image} says {split!r}, {label!r}: download it again")
    if label == "normal":
        return files.row(_inside(image), split, GOOD)
    side = "pool" if split == "train" else "test"
    return files.row(_inside(image), side, DEFECT, _inside(mask) if mask else "", "bad")


def _inside(path: str) -> str:
    return PurePosixPath(*PurePosixPath(path).parts[1:]).as_posix()
