"""From photos on disk to the ingested dataset: verified, converted, hashed, at working size, each image once.

Every photo is decoded in a pool of processes into the side cache; this process keeps about 2 kB of each. Only
when all are known, and too few are bad to stop, are the outputs made: images are hard links into the side
cache, and the manifest comes last, so a run that was cut short never looks complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from adrefine import datasets, io, manifest
from adrefine.errors import UserError
from adrefine.ingestion import duplicates, scales, summary, worker
from adrefine.ingestion.summary import Summary
from adrefine.ingestion.worker import Job, Photo, Settings
from adrefine.params import Dataset
from adrefine.paths import MANIFEST, side_cache
from adrefine.runtime import parallel
from adrefine.runtime.seeds import drawn

IMAGES, MASKS = "images", "masks"
DUPLICATES, QUARANTINE, SUMMARY = "duplicates.csv", "quarantine.csv", "summary.json"
IGNORED = "ignored.csv"  # files under the root that are neither photo nor mask, with the reason
LEVELS = "levels.csv"  # grey levels of every image, which validate checks
BATCH = 16  # photos handed to a process at once
_SHOWN = 5  # items that a message names


def ingest(params: Dataset, out: Path, workers: int | None = None) -> Summary:
    """Write `images/`, `masks/`, `manifest.csv`, `duplicates.csv`, `quarantine.csv`, `ignored.csv`,
    `levels.csv` and `summary.json` to `out`.

    Args:
        params: which dataset, and how its photos are prepared.
        out: what an earlier run left there is removed, once the dataset has been found.
        workers: processes; None: one per available core.

    Raises:
        UserError: nothing found, a split is empty, a mask does not fit its photo, too many photos are
            unusable.
    """
    root, table, warnings, found = datasets.read(params)  # a wrong root must not cost what is there
    _clear(out)
    cache = side_cache("ingest") / worker.config_key(params.image_size, params.fit)
    settings = Settings(
        root.resolve(), cache.absolute(), params.image_size, params.fit, params.max_megapixels
    )
    photos, thumbnails = _process(settings, table, params, workers)
    usable = _without_bad(photos, params, out / QUARANTINE)
    _check_masks(usable)
    usable["split"] = _with_val(usable, params)
    kept, exact = duplicates.drop_exact(usable)
    _check_splits(kept, root)
    near = duplicates.find_near(kept, thumbnails[kept.index], params.near_duplicate)
    twice = pd.concat([exact, near], ignore_index=True)
    made = summary.of(photos, kept, twice, found, warnings)
    io.write_csv(out / IGNORED, found.ignored)
    _write(out, settings, kept, twice, made)
    return made


def _process(
    settings: Settings, table: pd.DataFrame, params: Dataset, workers: int | None
) -> tuple[pd.DataFrame, npt.NDArray[np.float16]]:
    """The scanned table with what each photo turned out to be, and the (n, 256) thumbnails in its order."""
    jobs = [
        Job(index, *names)
        for index, names in enumerate(zip(table["source"], table["mask_source"], strict=True))
    ]
    found = list(map(Photo, range(len(jobs))))
    thumbnails = np.zeros((len(jobs), worker.decode.THUMBNAIL**2), dtype=np.float16)
    for photo in _stream(settings, jobs, workers):
        _settle(photo, found, thumbnails)
    deep = {photo.index: photo.levels for photo in found if photo.levels}
    if deep:  # now that all are known, they get one scale
        named = {jobs[index].source: levels for index, levels in deep.items()}
        settings = replace(settings, scales=scales.choose(named, params.depth))
        again = [replace(jobs[index], levels=levels) for index, levels in deep.items()]
        for photo in _stream(settings, again, workers):
            photo.levels = deep[photo.index]
            _settle(photo, found, thumbnails)
    columns = [name for name in Photo.__slots__ if name not in ("index", "thumbnail")]
    results = pd.DataFrame({name: [getattr(photo, name) for photo in found] for name in columns})
    results["image_id"] = results["sha256"].str[:16]
    return pd.concat([table, results], axis=1), thumbnails


def _stream(settings: Settings, jobs: list[Job], workers: int | None) -> Iterator[Photo]:
    return parallel.stream(
        partial(worker.process, settings),
        jobs,
        label="ingest",
        unit="photo",
        name=lambda job: job.source,
        remedy="lower dataset.max_megapixels, or remove the photo",
        batch=BATCH,
        workers=workers,
    )


def _settle(photo: Photo, found: list[Photo], thumbnails: npt.NDArray[np.float16]) -> None:
    if len(photo.thumbnail):
        thumbnails[photo.index] = photo.thumbnail
        photo.thumbnail = photo.thumbnail[:0].copy()
    found[photo.index] = photo


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
    """Splits, with `val` for training photos drawn by their content and the seed alone: adding a photo moves
    no other."""
    in_val = photos["image_id"].map(lambda name: drawn(params.val_fraction, "val", params.seed, name))
    good = (photos["split"] == "train") & (photos["label"] != manifest.DEFECT)
    return photos["split"].mask(good & in_val, "val")


def _check_splits(kept: pd.DataFrame, root: Path) -> None:
    there = set(kept["split"])
    if "train" not in there:
        raise UserError(
            f"{root}: no photo is left to train on: add good photos, or lower dataset.val_fraction and "
            "dataset.test_fraction"
        )
    if "test" not in there and (kept["label"] != manifest.UNKNOWN).any():
        raise UserError(f"{root}: no photo is left to test on: add photos to the test set")


def _write(out: Path, settings: Settings, kept: pd.DataFrame, twice: pd.DataFrame, made: Summary) -> None:
    for folder in (IMAGES, MASKS):
        (out / folder).mkdir(parents=True)
    table = kept.assign(
        path=[(out / IMAGES / f"{name}.png").as_posix() for name in kept["image_id"]], mask_path=""
    )
    for path, sha256, scale in zip(table["path"], table["sha256"], table["scale"], strict=True):
        _link(worker.image_file(settings.cache, sha256, scale), Path(path))
    marked = table["mask_area"] > 0
    table.loc[marked, "mask_path"] = [
        (out / MASKS / f"{name}.png").as_posix() for name in table["image_id"][marked]
    ]
    for path, sha256 in zip(table["mask_path"][marked], table["mask_sha256"][marked], strict=True):
        _link(worker.mask_file(settings.cache, sha256), Path(path))
    io.write_csv(out / DUPLICATES, twice)
    io.write_csv(out / LEVELS, table.sort_values("image_id")[list(manifest.LEVEL_COLUMNS)])
    io.write_json(
        out / SUMMARY,
        {key: value for key, value in vars(made).items() if key not in ("decoded", "reused")},
    )
    manifest.write(out / MANIFEST, table[list(manifest.COLUMNS)])


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _clear(out: Path) -> None:
    """Remove what an earlier run left, the manifest first."""
    for name in (MANIFEST, SUMMARY, DUPLICATES, LEVELS, IGNORED, QUARANTINE):
        (out / name).unlink(missing_ok=True)
    for name in (IMAGES, MASKS):
        if (out / name).exists():
            shutil.rmtree(out / name)
