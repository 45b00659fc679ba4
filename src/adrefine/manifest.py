"""The one table type: a CSV with one row per image, sorted by `image_id` (docs/design.md: data contract).

`label` of a training row is for measuring only. What may learn or decide receives `unlabelled(table)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `read` imports it: who needs the names of columns and labels alone does not wait for it
    import pandas as pd

from adrefine.errors import UserError
from adrefine.io import Damaged, read_csv, write_csv

GOOD, DEFECT, UNKNOWN = 0, 1, -1
SPLITS = ("train", "val", "test", "pool")

# Written by ingest. `width`, `height`: the photo's own size; `mask_area`: masked share of it, 0 without
# mask; `path`, `mask_path`: relative to the project root; `source`: relative to dataset.root; `scale`: values
# of the photo that became black and white, such as 0..4095; `part`: the same for all shots of one part, an
# opaque name, "" where unknown.
COLUMNS = (
    "image_id",
    "path",
    "mask_path",
    "split",
    "label",
    "defect_type",
    "width",
    "height",
    "mask_area",
    "source",
    "scale",
    "part",
)
# Of parts.csv: the split a photo is in, and the one it had before its part went to one side.
PART_COLUMNS = ("part", "image_id", "source", "split", "moved_from")
# Of levels.csv: how many grey levels an image has, and the shares of its pixels that are black and saturated.
LEVEL_COLUMNS = ("image_id", "source", "grey_levels", "black", "saturated")
# Of duplicates.csv, which ingest writes and validate checks.
DUPLICATE_COLUMNS = (
    "kind",
    "image_id",
    "source",
    "split",
    "other_image_id",
    "other_source",
    "other_split",
    "leak",
    "label_conflict",
    "similarity",
)
MEASURING_ONLY = ("label", "defect_type", "mask_path", "mask_area", "injected", "source")
_TEXT = (
    "image_id",
    "path",
    "mask_path",
    "split",
    "defect_type",
    "source",
    "scale",
    "part",
    "kind",
    "source_id",
    "reviewed",
    "review_note",
    "reason",
)
_NUMBERS = (
    *("label", "width", "height", "mask_area", "injected", "in_test", "kept", "removed_round", "score"),
    *("threshold", "relative_score", "weight", "recycled"),
)


def read(path: Path) -> pd.DataFrame:
    """Read a manifest; text columns are never NaN, `image_id` stays text even if it looks like a number.

    Raises:
        UserError: it is missing or damaged, has no image_id or path, or words where numbers should be.
    """
    names = read_csv(path, ("image_id", "path"), nrows=0).columns
    table = read_csv(
        path,
        dtype={name: str for name in _TEXT if name in names},
        keep_default_na=False,
        na_values={name: [""] for name in names if name not in _TEXT},
    )
    words = [name for name in _NUMBERS if name in table and table[name].dtype.kind not in "biuf"]
    if words and len(table):  # without a row no column has a type
        raise Damaged(path, f"column {words[0]} has words where numbers should be")
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a manifest sorted by `image_id`; refuses a second row for the same image."""
    twice = table["image_id"][table["image_id"].duplicated()]
    if len(twice):
        raise UserError(f"{path}: image_id {twice.iloc[0]} has more than one row")
    write_csv(path, table.sort_values("image_id", kind="stable"))


def unlabelled(table: pd.DataFrame) -> pd.DataFrame:
    """The table without any column that tells good from defective (nor file names, which often do)."""
    return table.drop(columns=[name for name in MEASURING_ONLY if name in table.columns])


def of_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """Rows of one split (`train | val | test | pool`)."""
    return table[table["split"] == split]


def parts(table: pd.DataFrame) -> pd.Series:
    """Part of each row: what stays on one side of every split. An unknown part is the photo itself."""
    if "part" not in table.columns:
        return table["image_id"]
    return table["part"].where(table["part"] != "", table["image_id"])


def synthetic_id(image_id: str, k: int = 0) -> str:
    """The id of the k-th synthetic defect made of an image."""
    return f"{image_id}_{k}"
