"""KolektorSDD2 as published: each photo beside its ground truth, defective if that has any non-zero pixel.

    train/10000.png   train/10000_GT.png
    test/20000.png    test/20000_GT.png

Defective training photos go to the split `pool`: they can be hidden in the training set, and are never tested
on. The archive also holds `train/10301 (copy).png` and its mask, copies that are not part of the dataset:
other names are skipped. Counts: Božič et al., "Mixed supervision for surface-defect detection", Computers in
Industry 2021.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.ingestion import decode
from adrefine.ingestion.sources import read_bytes
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

_PHOTO = re.compile(r"\d+\.png")
_THREADS = 4  # Pillow decodes without holding the interpreter's lock


class KSDD2(Layout):
    """Kolektor Surface-Defect Dataset 2."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`. Reads every ground truth, for the label is in there and nowhere else."""
        rows = []
        for split in ("train", "test"):
            files.need_folder(
                root / split, "the ksdd2 layout needs train/ and test/ with NNNNN.png and NNNNN_GT.png"
            )
            names = files.photos(root, split)
            sources = [name for name in names if _PHOTO.fullmatch(Path(name).name)]
            masks = [f"{name[:-4]}_GT.png" for name in sources]
            missing = sorted(set(masks) - set(names))
            if missing:
                raise UserError(
                    f"{root / missing[0]} is missing, and {len(missing) - 1} more: "
                    "ksdd2 needs a ground truth file for every photo, because it gives the label"
                )
            with ThreadPoolExecutor(_THREADS) as pool:
                defective = list(pool.map(partial(_defective, root, params.max_megapixels), masks))
            rows += [_row(*columns, split) for columns in zip(sources, masks, defective, strict=True)]
        return files.as_table(rows)

    def official(self, root: Path) -> dict[str, int]:
        """See `Layout.official`."""
        return {"train good": 2085, "pool defect": 246, "test good": 894, "test defect": 110}

    def unused(self, root: Path, source: str) -> str:
        """See `Layout.unused`."""
        if Path(source).stem.endswith("_GT"):
            return "a mask: of a photo without defect, or that is not part of the dataset"
        return "not part of the dataset: its photos are called NNNNN.png"


def _row(source: str, mask: str, defective: bool | None, split: str) -> dict[str, object]:
    if not defective:  # None: keep the unreadable ground truth in the row, so that ingest says so
        return files.row(source, split, GOOD, mask if defective is None else "")
    return files.row(source, "pool" if split == "train" else "test", DEFECT, mask, "defect")


def _defective(root: Path, max_megapixels: float, mask: str) -> bool | None:
    """Whether a ground truth marks anything; None if it cannot be read."""
    try:
        decoded = decode.mask(read_bytes(root.resolve(), mask, max_megapixels), max_megapixels)
    except decode.BadPhoto:
        return None
    return decoded.image.getextrema() != (0, 0)
