"""Synthetic defects for a whole dataset: in parallel, bounded, the same whatever the order or the workers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import PIL.Image

from adrefine.areas import foreground
from adrefine.areas.region import Region
from adrefine.defects import base
from adrefine.errors import UserError
from adrefine.io import png, write_bytes
from adrefine.manifest import DEFECT, synthetic_id
from adrefine.params import Synthesize
from adrefine.runtime import parallel
from adrefine.runtime.seeds import derived_seed

COLUMNS = ("image_id", "path", "mask_path", "kind", "source_id", "mask_area")
BATCH = 4  # photos handed to a process at once


@dataclass(frozen=True)
class Job:
    """One synthetic defect to make: the k-th of a photo; `region`: where it may lie, None: anywhere."""

    source_id: str
    source: str
    k: int
    folder: Path
    params: Synthesize
    region: Region | None


def sources(manifest: pd.DataFrame) -> pd.DataFrame:
    """The photos that get synthetic defects: all that could ever train, and the held-out ones, which with
    theirs show where a threshold between both would lie.

    Defective test photos are among them, for `inject_noise` may hide them in the training set. If they had no
    synthetic twin, its absence would tell a hidden defect from a good photo.
    """
    could_hide = (manifest["split"] == "test") & (manifest["label"] == DEFECT)
    chosen = manifest["split"].isin(("train", "pool", "val")) | could_hide
    return manifest.loc[chosen, ["image_id", "path"]].sort_values("image_id")


def drawn(photos: pd.DataFrame, most: int | None, seed: int) -> pd.DataFrame:
    """At most `most` of `photos` (column image_id), in their order, by id and seed alone; None: all."""
    if most is None or len(photos) <= most:
        return photos
    ranks = [derived_seed("twin", seed, image_id) for image_id in photos["image_id"]]
    return photos.iloc[sorted(np.argsort(np.array(ranks, dtype=np.uint64))[:most])]


def make_all(
    photos: pd.DataFrame,
    folder: Path,
    params: Synthesize,
    workers: int | None = None,
    region: Region | None = None,
) -> pd.DataFrame:
    """Write `images/` and `masks/` of `per_image` defects of every photo under `folder`.

    Args:
        photos: columns `image_id` and `path` (PNG, mode L or RGB).
        workers: processes; None: one a core. The result does not depend on it.
        region: where defects may lie; None: anywhere.

    Returns:
        The manifest: `image_id`, `path`, `mask_path`, `kind`, `source_id`, `mask_area` (share of the image).

    Raises:
        UserError: a photo cannot be read.
    """
    pairs = zip(photos["image_id"], photos["path"], strict=True)
    jobs = [
        Job(image_id, path, k, folder, params, region)
        for image_id, path in pairs
        for k in range(params.per_image)
    ]
    rows = parallel.stream(
        _make,
        jobs,
        label="synthesize",
        unit="image",
        name=lambda job: job.source,
        batch=BATCH,
        workers=workers,
    )
    return pd.DataFrame(list(rows), columns=list(COLUMNS)).sort_values("image_id", ignore_index=True)


def _make(job: Job) -> dict[str, object]:
    """Make one defect and write its image and mask; returns its manifest row."""
    image, grey = _read(job.source)
    inside = None if job.region is None else job.region.inside
    changed, mask, kind = synthesize(image, job.source_id, job.k, job.params, inside)
    name = synthetic_id(job.source_id, job.k)
    paths = [job.folder / part / f"{name}.png" for part in ("images", "masks")]
    pixels = np.rint(changed * 255).astype(np.uint8)
    contents = (pixels[..., 0] if grey else pixels, mask.astype(np.uint8) * 255)
    for path, content in zip(paths, contents, strict=True):
        write_bytes(path, png(content))
    values = (name, paths[0].as_posix(), paths[1].as_posix(), kind, job.source_id, float(mask.mean()))
    return dict(zip(COLUMNS, values, strict=True))


def synthesize(
    image: base.Image, image_id: str, k: int, params: Synthesize, inside: base.Mask | None = None
) -> tuple[base.Image, base.Mask, str]:
    """The k-th synthetic defect of a photo: changed image (h, w, 3), mask (h, w) and kind.

    Depends on the photo, `params`, `image_id`, k and `inside` alone, where (h, w) it may lie.
    """
    rng = np.random.default_rng(derived_seed("synthesize", params.seed, image_id, k))
    weights = params.kinds.model_dump()
    total = sum(weights.values())
    kind = str(rng.choice(list(weights), p=[weight / total for weight in weights.values()]))
    where = foreground.find(image, params.background, inside)
    generator: base.Generator = getattr(params, kind)
    changed, mask = generator.apply(image, where, rng)
    return changed, mask, kind


def _read(path: str) -> tuple[base.Image, bool]:
    """A working-size photo as (h, w, 3), 0 to 1, and whether it is grey."""
    try:
        with PIL.Image.open(path) as file:
            grey = file.mode == "L"
            pixels: npt.NDArray[np.uint8] = np.asarray(file.convert("RGB"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): run `dvc repro ingest` to make it again") from None
    return pixels.astype(np.float32) / np.float32(255), grey
