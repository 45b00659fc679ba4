"""All photos through the worker: once, or twice where parts are turned.

Whether and how parts are turned is decided from all training photos, so a first pass stretches every photo
and looks how its part lies; where they are to be turned, a second one does that. Both have their side
caches: a changed photo goes through both alone, unless it changes the decision for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from adrefine.ingestion import cache, decode, fitting, scales, worker
from adrefine.ingestion.affine import Affine
from adrefine.ingestion.decision import AUTO, PART, STRETCH, Decision, decide
from adrefine.ingestion.preparation import Preparation
from adrefine.ingestion.worker import Job, Photo, WorkerSettings
from adrefine.params import Dataset
from adrefine.paths import side_cache
from adrefine.runtime import parallel

BATCH = 16  # photos handed to a process at once
Thumbnails = npt.NDArray[np.float16]  # (n, 256)


def prepare(
    params: Dataset, root: Path, table: pd.DataFrame, workers: int | None
) -> tuple[pd.DataFrame, Thumbnails, Decision, Preparation]:
    """Bring all photos to the working size.

    Args:
        root: of the photos, absolute.
        table: SCAN_COLUMNS.

    Returns:
        The table with what each photo turned out to be: as in `worker.Photo`; image_id; upright, the file of
        the first pass; not_turned, why a photo is stretched where others are turned, or ""; the fields of
        `Affine`. The thumbnails in its order. What was decided, and what it means for one more photo.
    """
    looks = params.fit in (PART, AUTO)
    jobs = [
        Job(index, *names)
        for index, names in enumerate(zip(table["source"], table["mask_source"], strict=True))
    ]
    settings = _settings(params, root, STRETCH if looks else params.fit, looks)
    photos, settings, jobs = _first(settings, jobs, params, workers)
    upright = [photo.file for photo in photos]
    decision = _decide(params.fit, photos, table["split"] == "train") if looks else Decision(params.fit)
    if decision.fit == PART:
        turning = replace(_settings(params, root, PART, aspect=decision.aspect), scales=settings.scales)
        _turn(photos, turning, jobs, workers)
    columns = [name for name in Photo.__slots__ if name not in ("index", "thumbnail", "turned", "pose")]
    results = pd.DataFrame({name: [getattr(photo, name) for photo in photos] for name in columns})
    results = results.assign(image_id=results["sha256"].str[:16], upright=upright)
    results = pd.concat([table, results, _transforms(photos, params.image_size, decision)], axis=1)
    texts = {kind: str(scale) for kind, scale in sorted(settings.scales.items())}
    made = Preparation(params.image_size, decision.fit, decision.aspect, texts, params.max_megapixels)
    return results, _stacked([photo.thumbnail for photo in photos]), decision, made


def _settings(
    params: Dataset, root: Path, fit: str, looks: bool = False, aspect: float = 0.0
) -> WorkerSettings:
    folder = side_cache("ingest") / cache.config_key(params.image_size, fit, looks, aspect)
    megapixels = params.max_megapixels
    return WorkerSettings(
        root,
        folder.absolute(),
        params.image_size,
        fit,
        megapixels,
        looks=looks,
        aspect=aspect,
        follow_links=params.follow_links,
    )


def _first(
    settings: WorkerSettings, jobs: list[Job], params: Dataset, workers: int | None
) -> tuple[list[Photo], WorkerSettings, list[Job]]:
    """Every photo once, those of more than 8 bits again when all are known, for they get one scale; with
    the settings and jobs that hold it."""
    photos = _process(settings, jobs, workers)
    deep = {photo.index: photo.levels for photo in photos if photo.levels}
    if deep:
        named = scales.settled({jobs[index].source: levels for index, levels in deep.items()})
        settings = replace(settings, scales=scales.choose(named, params.depth))
        jobs = [replace(job, levels=deep.get(job.index)) for job in jobs]
        for photo in _process(settings, [jobs[index] for index in deep], workers):
            photo.levels = named[jobs[photo.index].source]
            photos[photo.index] = photo
    return photos, settings, jobs


def _turn(photos: list[Photo], settings: WorkerSettings, jobs: list[Job], workers: int | None) -> None:
    """Replace the photos that have a part by those turned and cropped to it."""
    again = [replace(jobs[photo.index], pose=photo.pose) for photo in photos if _has_part(photo)]
    for photo in _process(settings, again, workers):
        before = photos[photo.index]
        photo.reused, photo.levels = photo.reused and before.reused, before.levels
        photos[photo.index] = photo


def _process(settings: WorkerSettings, jobs: Sequence[Job], workers: int | None) -> list[Photo]:
    """The photos of the jobs, in their order."""
    done = parallel.stream(
        partial(worker.process, settings),
        jobs,
        label="turn" if settings.fit == PART else "ingest",
        unit="photo",
        name=lambda job: job.source,
        remedy="lower dataset.max_megapixels, or remove the photo",
        batch=BATCH,
        workers=workers,
    )
    return sorted(done, key=lambda photo: photo.index)


def _decide(wanted: str, photos: list[Photo], learns: pd.Series) -> Decision:
    seen = [photo for photo, chosen in zip(photos, learns, strict=True) if chosen and not photo.problem]
    poses = [photo.pose for photo in seen if photo.pose]  # all have one: this narrows the type
    upright, turned = (_stacked([getattr(photo, name) for photo in seen]) for name in ("thumbnail", "turned"))
    return decide(wanted, poses, upright, turned)


def _has_part(photo: Photo) -> bool:
    return not photo.problem and photo.pose is not None and not photo.pose.problem


def _transforms(photos: list[Photo], size: int, decision: Decision) -> pd.DataFrame:
    """not_turned and the fields of Affine, a row per photo; zeros for what is no photo."""
    rows: list[dict[str, Any]] = []
    for photo in photos:
        problem = photo.pose.problem if photo.pose and decision.fit == PART else ""
        if photo.problem:
            move = Affine(0, 0, 0, 0, 0, 0)
        elif photo.pose and decision.fit == PART and not problem:
            move = photo.pose.transform(photo.width, photo.height, size, decision.aspect)
        else:
            how = STRETCH if decision.fit == PART else decision.fit
            move = fitting.transform(photo.width, photo.height, size, how)
        rows.append({"not_turned": problem} | {key: round(value, 6) for key, value in move._asdict().items()})
    return pd.DataFrame(rows, columns=["not_turned", *Affine._fields])


def _stacked(thumbnails: list[npt.NDArray[np.float16]]) -> npt.NDArray[np.float16]:
    """(n, 256), 0 for a photo without one."""
    stacked = np.zeros((len(thumbnails), decode.THUMBNAIL**2), dtype=np.float16)
    for row, thumbnail in zip(stacked, thumbnails, strict=True):
        if len(thumbnail):
            row[:] = thumbnail
    return stacked
