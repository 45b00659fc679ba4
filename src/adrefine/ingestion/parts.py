"""Shots of one part: photos of the same thing in another light or pose. They stay on one side of every split.

A model that has learned one shot of a part has seen the others, so that to test on them measures memory. Some
layouts tell which photos are of one part; `dataset.parts: find` looks for them where nobody tells.

Two photos are of one part if their details correlate: differences from the surroundings in units of the local
contrast, without what all photos share, so that neither light nor the common shape of a product counts.
Calibrated on magnetic tiles (MTD: 1,344 photos, most tiles in up to six exposures; 1,050 of them are shots of
303 tiles, 4 of which have a good and a defective shot; KSDD: 8 pairs among 383). It is made for surfaces: of
bottles and screws, photos in the same pose correlate as well, so look at parts.csv before you believe it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL.Image
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from adrefine.manifest import DEFECT, PART_COLUMNS

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

FIND = "find"  # dataset.parts
SIDE = 64  # pixels of the thumbnails
GRAIN = 3.0  # sigma up to which something is a detail
LIGHT = 5.0  # sigma of the contrast in whose units details are measured
SAME = 0.6  # mean correlation over which photos are of one part; 96 % of such pairs of tiles have one label
_BLOCK = 2_000_000  # correlations held at once (16 MB)


def assign(photos: pd.DataFrame, how: str) -> pd.DataFrame:
    """The photos with `part`, an opaque name, "" where unknown or of one shot, and `split` by whole parts.

    Args:
        photos: image_id, file, part (as the layout tells, "" for unknown), split, label, one row per file.
        how: `told`, or `find` to look for the parts that the layout does not tell.

    Returns:
        A copy, with the column `moved_from`: the split that a photo had alone, "" if that was the same.
    """
    table = photos.assign(part=[_opaque(text) for text in photos["part"]])
    alone = table["part"] == ""
    if how == FIND and alone.any():
        first = table[alone].drop_duplicates("image_id").sort_values("image_id")
        numbers = parts_of(np.stack([detail(Path(file)) for file in first["file"]]))
        names = first["image_id"].groupby(numbers).transform("min")
        several = first["image_id"].groupby(numbers).transform("size") > 1
        parts = dict(zip(first["image_id"], names.where(several, ""), strict=True))
        table.loc[alone, "part"] = table["image_id"][alone].map(parts)
    before = table["split"]
    table["split"] = _on_one_side(table)
    return table.assign(moved_from=before.where(table["split"] != before, ""))


def listed(photos: pd.DataFrame) -> pd.DataFrame:
    """PART_COLUMNS of `photos`: every photo of a known part, the shots of a part one after the other."""
    known = photos.loc[photos["part"] != "", list(PART_COLUMNS)]
    return known.sort_values(["part", "image_id", "source"], ignore_index=True)


def detail(file: Path) -> Array:
    """Details (SIDE²,) of a photo whatever its light, mean 0."""
    with PIL.Image.open(file) as image:
        grey = np.asarray(image.convert("L").resize((SIDE, SIDE), PIL.Image.Resampling.BOX), float)
    fine = grey - gaussian_filter(grey, GRAIN)
    fine /= np.sqrt(gaussian_filter(fine**2, LIGHT)) + 0.5
    flat: Array = (fine - fine.mean()).ravel()
    return flat


def parts_of(details: Array) -> Numbers:
    """Number (n,) of the part that each photo shows, from 0, of their details (n, d).

    Average linkage of the correlations of what is left without the mean of all, cut at SAME. A cluster under
    the cut lies within photos linked by pairs over it, so each such group is taken alone: memory is linear.
    """
    if len(details) < 3:  # what is left of two photos without their mean is each other's opposite
        return np.arange(len(details))
    own = details - details.mean(axis=0)
    lengths = np.linalg.norm(own, axis=1, keepdims=True)
    own = np.divide(own, lengths, out=np.zeros_like(own), where=lengths > 1e-9)
    groups = _linked(own)
    parts, used = np.empty(len(own), dtype=np.int64), 0
    for group in range(groups.max() + 1):
        inside = np.flatnonzero(groups == group)
        numbers = _clusters(own[inside])
        parts[inside] = numbers + used
        used += int(numbers.max()) + 1
    return parts


def _linked(own: Array) -> Numbers:
    """Number (n,) of the group of photos that pairs over SAME link, from 0."""
    rows: list[Numbers] = []
    columns: list[Numbers] = []
    step = max(1, _BLOCK // len(own))
    for start in range(0, len(own), step):
        row, column = np.nonzero(own[start : start + step] @ own.T > SAME)
        rows.append(row + start)
        columns.append(column)
    pairs = (np.concatenate(rows), np.concatenate(columns))
    graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(len(own), len(own)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _clusters(own: Array) -> Numbers:
    """Clusters (n,) of photos, from 0."""
    if len(own) == 1:
        return np.zeros(1, dtype=np.int64)
    apart = 1 - own @ own.T
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False).clip(min=0), "average")
    return np.asarray(fcluster(tree, 1 - SAME, "distance"), dtype=np.int64) - 1


def _on_one_side(table: pd.DataFrame) -> pd.Series:
    """`split` with the parts that train and are tested on one side: of the test if a shot of them is a tested
    defect or no fewer shots are tested than train, else of the training."""
    split = table["split"].copy()
    for _, rows in table[table["part"] != ""].groupby("part"):
        trains, tested = (rows["split"] == "train", rows["split"] == "test")
        if trains.any() and tested.any():
            defect = (tested & (rows["label"] == DEFECT)).any()
            side = "test" if defect or tested.sum() >= trains.sum() else "train"
            split.loc[rows.index[(trains | tested) & _movable(rows, side)]] = side
    return split


def _movable(rows: pd.DataFrame, side: str) -> pd.Series:
    """A training defect is never tested: it is there to be hidden."""
    return (rows["label"] != DEFECT) | (rows["split"] == side)


def _opaque(text: str) -> str:
    """The name of a part that a layout tells, without what its words may say of the label."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""
