"""ISP-AD (doi 10.5281/zenodo.14911043): `dataset.root` is the folder of one modality, LSM-1, LSM-2 or ASM.

    train/good/….png   test/good/….png   test/<group>/….png   ground_truth/<group>/….png     as MVTec AD
    ….hdf5             syn_stream (n, 256, 256), ground_truth (n, 256, 256)    supervised training
    real/area/….png    real/points/….png, or HDF5 with one of these words in its name        real defects

Written from the document (Krassnig & Gruber 2025, arXiv 2503.04997v2, sect. 3.2); the archive was not seen.
A patch of a stream without a mark in `ground_truth` is good and trains; the others have a defect that ISP's
generator drew and are left out, for synthetic defects are drawn here. `dataset.patches` good ones are taken,
from blocks chosen by the seed. What lies below another folder, or in an HDF5 file, whose name says `area` or
`points` is a real defect of that group and goes to the split `pool`: it can teach or be hidden, and is never
tested. Counts: table 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from adrefine.datasets import files, hdf5, words
from adrefine.datasets.mvtec import MVTec
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset
from adrefine.runtime.seeds import derived_seed

GROUPS = ("area", "points")
STREAM, MASKS = "syn_stream", "ground_truth"
_BLOCK = 1024  # rows that are read at a time


class ISPAD(MVTec):
    """One modality of ISP-AD.

    Attributes:
        real: official number of real defects for training, area and points.
    """

    counts: ClassVar = {"LSM-1": (3678, 1470, 95), "LSM-2": (401, 382, 96), "ASM": (500, 1916, 74)}
    real: ClassVar = {"LSM-1": (120, 52), "LSM-2": (62, 66), "ASM": (37, 109)}

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`."""
        streams = [name for name in files.everything(root) if Path(name).suffix.lower() in hdf5.SUFFIXES]
        rows = [
            files.row(source, "pool", DEFECT, defect_type=group)
            for name in files.folders(root)
            if name.casefold() not in ("train", "test") and not words.is_mask_folder(name)
            for source in files.photos_below(root, name)
            if (group := _group(source))
        ]
        rows += [row for name in streams for row in _patches(root, name, params)]
        both = pd.concat([super().scan(root, params), files.as_table(rows)], ignore_index=True)
        return both.sort_values("source", ignore_index=True)

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`."""
        lines = super().warnings(root, table)
        real = self.real.get(root.resolve().name)
        types = table.loc[table["split"] == "pool", "defect_type"]
        there = tuple(int((types == group).sum()) for group in GROUPS)
        if real and any(there) and there != real:
            counts = " and ".join(
                f"{count} {group} instead of {wanted}"
                for count, wanted, group in zip(there, real, GROUPS, strict=True)
            )
            lines.append(f"real defects differ from the official counts: {counts}")
        return lines


def _group(source: str) -> str:
    """The group that the folders of a photo name, "" for none."""
    return _named(PurePosixPath(source).parts[:-1])


def _named(names: tuple[str, ...]) -> str:
    return next((group for group in GROUPS if any(group in name.casefold() for name in names)), "")


def _patches(root: Path, name: str, params: Dataset) -> Iterator[dict[str, object]]:
    """Rows of one HDF5 file: good patches of its streams, or real defects.

    Raises:
        UserError: it holds neither; lists what it holds.
    """
    by_key = hdf5.arrays(root / name)
    streams = [key for key in by_key if PurePosixPath(key).name == STREAM]
    if streams:
        for key in streams:
            masks = PurePosixPath(key).with_name(MASKS).as_posix()
            if masks not in by_key or len(by_key[masks]) != len(by_key[key]):
                raise UserError(f"{root / name}: `{key}` has no `{masks}` of as many rows: download it again")
            for row in _good(by_key[masks], params, f"{name}/{key}"):
                yield files.row(hdf5.name_of(name, key, row), "train", GOOD)
        return
    pictures = [key for key in by_key if PurePosixPath(key).name != MASKS]
    groups = {key: _named((*PurePosixPath(name).parts, *PurePosixPath(key).parts)) for key in pictures}
    if not groups or not all(groups.values()):
        held = files.listed(sorted(by_key)) or "no pictures of 8 bits and one channel"
        raise UserError(
            f"{root / name} holds {held}: known are `{STREAM}` beside `{MASKS}`, and names with "
            f"{' or '.join(GROUPS)}; move the file out of dataset.root"
        )
    for key, group in groups.items():
        masks = PurePosixPath(key).with_name(MASKS).as_posix()
        for row in range(len(by_key[key])):
            mask = hdf5.name_of(name, masks, row) if masks in by_key else ""
            yield files.row(hdf5.name_of(name, key, row), "pool", DEFECT, mask, group)


def _good(masks: Any, params: Dataset, name: str) -> list[int]:
    """Rows of the first `dataset.patches` patches without a mark, of blocks in an order of the seed."""
    rows: list[int] = []
    order = sorted(
        hdf5.blocks(len(masks), _BLOCK), key=lambda block: derived_seed(params.seed, name, block.start)
    )
    for block in order:
        if len(rows) >= params.patches:
            break
        marked = hdf5.pictures(np.asarray(masks[block])).any(axis=(1, 2))
        rows += (block.start + np.flatnonzero(~marked)).tolist()
    return sorted(rows[: params.patches])
