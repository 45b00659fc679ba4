"""ISP-AD (doi 10.5281/zenodo.14911043): `dataset.root` is the folder of one modality, LSM-1, LSM-2 or ASM.

    train/good/….png   test/good/….png   test/<group>/….png   ground_truth/<group>/….png     as MVTec AD
    real/area/….png    real/points/….png                     real defects of the supervised training

Written from the document (Krassnig & Gruber 2025, arXiv 2503.04997v2, sect. 3.2); the archive was not seen.
Every photo below another folder whose name says `area` or `points` is a real defect of that group and goes to
the split `pool`: it can teach or be hidden, and is never tested. The streams of patches in HDF5 are not read.
Counts: table 7, of the unsupervised part.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from adrefine.datasets import files, words
from adrefine.datasets.mvtec import MVTec
from adrefine.manifest import DEFECT
from adrefine.params import Dataset

GROUPS = ("area", "points")
_STREAMS = {".hdf5", ".h5"}


class ISPAD(MVTec):
    """One modality of ISP-AD."""

    counts: ClassVar = {"LSM-1": (3678, 1470, 95), "LSM-2": (401, 382, 96), "ASM": (500, 1916, 74)}

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`."""
        table = super().scan(root, params)
        rows = [
            files.row(source, "pool", DEFECT, defect_type=group)
            for name in files.folders(root)
            if name.casefold() not in ("train", "test") and not words.is_mask_folder(name)
            for source in files.photos_below(root, name)
            if (group := _group(source))
        ]
        both = pd.concat([table, files.as_table(rows)], ignore_index=True)
        return both.sort_values("source", ignore_index=True)

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`."""
        streams = [name for name in files.everything(root) if Path(name).suffix.lower() in _STREAMS]
        found = super().warnings(root, table)
        return (
            [*found, f"{files.listed(streams)}: patches in HDF5 are not read; defects are synthesized here"]
            if streams
            else found
        )


def _group(source: str) -> str:
    """The group that the folders of a photo name, "" for none."""
    folders = [name.casefold() for name in PurePosixPath(source).parts[:-1]]
    return next((group for group in GROUPS if any(group in name for name in folders)), "")
