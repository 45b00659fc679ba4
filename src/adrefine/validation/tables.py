"""What the checks look at: the manifest as it is, and columns that say what is wrong with photos or dataset.

Great Expectations knows numbers and text only, so every derived column is 0 (fine) or 1 (wrong), or a count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from adrefine.io import read_csv
from adrefine.manifest import COLUMNS, DEFECT, GOOD, LEVEL_COLUMNS, UNKNOWN

LEARNING = ("train", "val")  # splits a model sees before it is tested
_PAIR_TEXT = ("image_id", "source", "split", "other_image_id", "other_source", "other_split")
_PAIR_COLUMNS = ("kind", *_PAIR_TEXT, "leak", "label_conflict")


def read_duplicates(path: Path) -> pd.DataFrame:
    """Read `duplicates.csv`; ids stay text even if they look like numbers."""
    text = {name: str for name in ("kind", *_PAIR_TEXT)}
    return read_csv(path, _PAIR_COLUMNS, dtype=text, keep_default_na=False)


def read_levels(path: Path) -> pd.DataFrame:
    """Read `levels.csv`."""
    return read_csv(path, LEVEL_COLUMNS, dtype={"image_id": str, "source": str}, keep_default_na=False)


def derive(
    manifest: pd.DataFrame, duplicates: pd.DataFrame, levels: pd.DataFrame, root: Path
) -> dict[str, pd.DataFrame]:
    """The tables that are checked, by name: `manifest`, `duplicates`, `levels`, `photos`, `pairs`, `dataset`.

    The last three need the columns of the first two; they are left out if any is missing.

    Args:
        manifest: ingested manifest.
        duplicates: pairs of like photos (`duplicates.csv`).
        levels: grey levels of every photo (`levels.csv`).
        root: folder that `path` and `mask_path` are relative to.
    """
    tables = {"manifest": manifest, "duplicates": duplicates, "levels": levels}
    wanted = ((manifest, COLUMNS), (duplicates, _PAIR_COLUMNS), (levels, LEVEL_COLUMNS))
    if all(set(columns) <= set(table.columns) for table, columns in wanted):
        pairs = _pairs(manifest, duplicates)
        dataset = _dataset(manifest, pairs).assign(
            black_share=_mean(levels["black"]), saturated_share=_mean(levels["saturated"])
        )
        tables |= {"photos": _photos(manifest, root), "pairs": pairs, "dataset": dataset}
    return tables


def _mean(shares: pd.Series) -> float:
    return round(float(shares.mean()), 6) if len(shares) else 0.0


def _photos(manifest: pd.DataFrame, root: Path) -> pd.DataFrame:
    """One row per photo: image_id, source and what is wrong with it (0 or 1)."""
    good, defect = manifest["label"] == GOOD, manifest["label"] == DEFECT
    masked, area = manifest["mask_path"] != "", pd.to_numeric(manifest["mask_area"], errors="coerce")
    present = existing([*manifest["path"], *manifest.loc[masked, "mask_path"]], root)
    wrong = {
        "file_missing": ~manifest["path"].isin(present),
        "mask_missing": masked & ~manifest["mask_path"].isin(present),
        "good_but_masked": good & (area > 0),
        "defect_mask_empty": defect & masked & (area <= 0),
        "area_without_mask": ~masked & (area > 0),
        "good_but_typed": good & (manifest["defect_type"] != ""),
        "defect_to_learn": defect & manifest["split"].isin(LEARNING),
    }
    return manifest[["image_id", "source"]].assign(**{name: flag.astype(int) for name, flag in wrong.items()})


def existing(paths: Iterable[str], root: Path) -> set[str]:
    """Those of `paths` that are there under `root`; each folder is listed once, however many files."""
    wanted = set(paths)
    folders = {os.path.dirname(path) for path in wanted}
    listing = {
        folder: set(os.listdir(root / folder)) if (root / folder).is_dir() else set() for folder in folders
    }
    return {path for path in wanted if os.path.basename(path) in listing[os.path.dirname(path)]}


def _pairs(manifest: pd.DataFrame, duplicates: pd.DataFrame) -> pd.DataFrame:
    """Pairs of like photos: `exact_leak` (tested yet learned from), `exact_conflict`, `near_leak`; 0 or 1."""
    learning = set(manifest.loc[manifest["split"].isin(LEARNING), "image_id"])
    exact, leak = duplicates["kind"] == "exact", duplicates["leak"] == 1
    trains = duplicates["image_id"].isin(learning) | duplicates["other_image_id"].isin(learning)
    return duplicates[list(_PAIR_TEXT)].assign(
        exact_leak=(exact & leak & trains).astype(int),
        exact_conflict=(exact & (duplicates["label_conflict"] == 1)).astype(int),
        near_leak=(~exact & leak).astype(int),
    )


def _dataset(manifest: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """One row about the whole: photos a split, good test photos, share of test photos with a near leak."""
    split, label = manifest["split"], manifest["label"]
    leaks = pairs[pairs["near_leak"] == 1]
    tested = {
        *leaks.loc[leaks["split"] == "test", "image_id"],
        *leaks.loc[leaks["other_split"] == "test", "other_image_id"],
    }
    test = int((split == "test").sum())
    return pd.DataFrame(
        [
            {
                "train_photos": int((split == "train").sum()),
                "val_photos": int((split == "val").sum()),
                "test_photos": test,
                "good_test_photos": int(((split == "test") & (label == GOOD)).sum()),
                "labelled": int((label != UNKNOWN).any()),
                "defects": int((label == DEFECT).sum()),
                "near_leak_share": round(len(tested) / test, 6) if test else 0.0,
            }
        ]
    )
