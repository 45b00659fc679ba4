"""From photos on disk to the ingested dataset: verified, converted, hashed, at working size, each image once.

Every photo is decoded in a pool of processes into the side cache; this process keeps about 2 kB of each. Only
when all are known, and too few are bad to stop, are the outputs made: images are hard links into the side
cache, and the manifest comes last, so a run that was cut short never looks complete.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import datasets, io, manifest
from adrefine.areas.region import FILE, Region
from adrefine.errors import UserError
from adrefine.ingestion import duplicates, examples, hints, parts, prepare, roi, summary
from adrefine.ingestion.affine import Affine
from adrefine.ingestion.decision import PART
from adrefine.ingestion.summary import Summary
from adrefine.params import Dataset
from adrefine.paths import MANIFEST
from adrefine.runtime.seeds import drawn

IMAGES, MASKS = "images", "masks"
DUPLICATES, QUARANTINE, SUMMARY = "duplicates.csv", "quarantine.csv", "summary.json"
PARTS = "parts.csv"  # photos of which other shots of the same part are known, those of a part together
IGNORED = "ignored.csv"  # files under the root that are neither photo nor mask, with the reason
HINTS = "hints.csv"  # what looks like a slip of the camera
LEVELS = "levels.csv"  # grey levels of every image, which validate checks
TRANSFORMS = "transforms.csv"  # of every image: why it was not turned as others were, the numbers of `Affine`
PREPARATION = "preparation.json"  # how the photos were prepared, for one that comes later
ROI_PHOTO = "roi_photo.png"  # a photo as it was, where a region of interest leaves a part of it
EXAMPLES = "examples"  # of turned photos, as they were before
_SHOWN = 5  # items that a message names


def ingest(params: Dataset, out: Path, workers: int | None = None) -> Summary:
    """Write `images/`, `masks/`, `manifest.csv`, `duplicates.csv`, `parts.csv`, `quarantine.csv`,
    `ignored.csv`, `levels.csv`, `hints.csv`, `transforms.csv`, `preparation.json` and `summary.json` to
    `out`, `examples/` where photos were turned, `roi.png` and `roi_photo.png` with a region of interest.

    Args:
        params: which dataset, and how its photos are prepared.
        out: what an earlier run left there is removed, once the dataset has been found.
        workers: processes; None: one per available core.

    Raises:
        UserError: nothing found, a split is empty, a mask does not fit its photo, too many photos are
            unusable, the region of interest is none.
    """
    mask = roi.drawn(params.roi)
    root, table, warnings, account = datasets.read(params)  # a wrong root must not cost what is there
    _clear(out)
    photos, thumbnails, decision, preparation = prepare.prepare(params, root.resolve(), table, workers)
    usable = _without_bad(photos, params, out / QUARANTINE)
    _check_masks(usable)
    usable = parts.assign(usable, params.parts)
    usable["split"] = _with_val(usable, params)
    kept, exact = duplicates.drop_exact(usable)
    _check_splits(kept, root)
    near = duplicates.find_near(kept, thumbnails[kept.index], params.near_duplicate)
    twice = pd.concat([exact, near], ignore_index=True)
    hinted = hints.find(kept)
    kept, looked_at = _within_region(kept, roi.of(params, mask, kept, decision.fit), params.roi, out)
    made = summary.of(photos, kept, twice, account, decision, looked_at, warnings)
    made.warnings.extend(hints.warnings(hinted))
    io.write_csv(out / HINTS, hinted)
    io.write_csv(out / IGNORED, account.ignored)
    io.write_json(out / PREPARATION, preparation.as_json())
    _write(out, kept, twice, made)
    if decision.fit == PART:
        examples.write(out / EXAMPLES, kept)
    return made


def _within_region(
    kept: pd.DataFrame, region: Region | None, source: str | None, out: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The photos with one shade outside the region, and what the summary says of it."""
    if region is None:
        return kept, {}
    shown = kept[kept["split"] == "train"].sort_values("image_id")["file"].iloc[0]
    shutil.copyfile(shown, out / ROI_PHOTO)
    region.picture().save(out / FILE)
    done = roi.applied(kept, region)
    facts = {
        "source": source,
        "share": round(region.share, 4),
        "masks_cut": done.cut,
        "masks_lost": done.lost,
    }
    return done.table, facts


def _without_bad(photos: pd.DataFrame, params: Dataset, quarantine: Path) -> pd.DataFrame:
    """The usable photos; the others go to `quarantine`, and stop the run if they are too many."""
    bad = photos.loc[photos["problem"] != "", ["source", "problem"]].rename(columns={"problem": "reason"})
    io.write_csv(quarantine, bad)
    usable = photos[photos["problem"] == ""].copy()
    share = len(bad) / len(photos)
    if share > params.max_quarantined or usable.empty:
        first = bad.iloc[0]
        raise UserError(
            f"{len(bad)} of {len(photos)} photos ({share:.1%}) cannot be used, more than "
            f"dataset.max_quarantined = {params.max_quarantined:g}; the first: {first['source']}: "
            f"{first['reason']}. See {quarantine}: repair or remove them, or raise dataset.max_quarantined"
        )
    return usable


def _check_masks(photos: pd.DataFrame) -> None:
    torn = [text for text in photos["torn"] if text]
    if torn:
        raise UserError(f"{torn[0]} ({len(torn)} such photos): keep the right one")
    clashes = [text for text in photos["clash"] if text]
    if clashes:
        rest = f" and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
        first = "; ".join(clashes[:_SHOWN]) + rest
        raise UserError(
            f"{len(clashes)} masks are of another size than their photo: {first}. "
            "Export them again at the size of the photo"
        )


def _with_val(photos: pd.DataFrame, params: Dataset) -> pd.Series:
    """Splits, with `val` for training photos drawn by their part or content and the seed alone: adding a
    photo moves none of another part. A part with a defect that may train is not held out."""
    names = manifest.parts(photos)
    in_val = names.map(lambda name: drawn(params.val_fraction, "val", params.seed, name))
    defect = (photos["label"] == manifest.DEFECT) & (photos["split"] != "test")
    good = (photos["split"] == "train") & ~names.isin(set(names[defect]))
    return photos["split"].mask(good & in_val, "val")


def _check_splits(kept: pd.DataFrame, root: Path) -> None:
    there = set(kept["split"])
    if "train" not in there:
        raise UserError(
            f"{root}: no photo is left for training: add good photos, or lower dataset.val_fraction and "
            "dataset.test_fraction"
        )
    if "test" not in there and (kept["label"] != manifest.UNKNOWN).any():
        raise UserError(f"{root}: no photo is left for testing: add photos to the test set")


def _write(out: Path, kept: pd.DataFrame, twice: pd.DataFrame, made: Summary) -> None:
    for folder in (IMAGES, MASKS):
        (out / folder).mkdir(parents=True)
    table = kept.assign(
        path=[(out / IMAGES / f"{name}.png").as_posix() for name in kept["image_id"]], mask_path=""
    )
    for path, file in zip(table["path"], table["file"], strict=True):
        _link(Path(file), Path(path))
    marked = table["mask_area"] > 0
    table.loc[marked, "mask_path"] = [
        (out / MASKS / f"{name}.png").as_posix() for name in table["image_id"][marked]
    ]
    for path, file in zip(table["mask_path"][marked], table["mask_file"][marked], strict=True):
        _link(Path(file), Path(path))
    io.write_csv(out / DUPLICATES, twice)
    io.write_csv(out / PARTS, parts.listed(kept))
    in_order = table.sort_values("image_id")
    io.write_csv(out / LEVELS, in_order[list(manifest.LEVEL_COLUMNS)])
    io.write_csv(out / TRANSFORMS, in_order[["image_id", "not_turned", *Affine._fields]])
    unsaid = {"decoded", "reused"} | (set() if made.roi else {"roi"})
    io.write_json(
        out / SUMMARY,
        {key: value for key, value in vars(made).items() if key not in unsaid},
    )
    manifest.write(out / MANIFEST, table[list(manifest.COLUMNS)])


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _clear(out: Path) -> None:
    """Remove what an earlier run left, the manifest first."""
    tables = (MANIFEST, SUMMARY, DUPLICATES, PARTS, LEVELS, HINTS, TRANSFORMS, IGNORED, PREPARATION)
    for name in (*tables, QUARANTINE, FILE, ROI_PHOTO):
        (out / name).unlink(missing_ok=True)
    for name in (IMAGES, MASKS, EXAMPLES):
        if (out / name).exists():
            shutil.rmtree(out / name)
