"""Embed the places of a list of images, taking what is already known from the cache."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from adrefine.areas.region import Region
from adrefine.features.embed import configuration, through
from adrefine.features.store import write_rows
from adrefine.params import Embed, Runtime
from adrefine.places.extract import PlacesExtractor

CODE_VERSION = 1  # raise it when a change to this package changes maps, so that old entries are not used


def embed_places(
    images: pd.DataFrame,
    params: Embed,
    out: Path,
    cache: Path,
    runtime: Runtime | None = None,
    region: Region | None = None,
) -> dict[str, int]:
    """Write maps and pooled vectors of `images` (columns image_id, path) to `out`; see `features.embed`.

    Args:
        images: a column `kind`, where there is one, says what synthetic defect it is; empty of a photo.
        region: what counts of the images: places without a pixel of it are 0. None: all.

    Returns:
        {"images": all, "computed": those that went through the backbone}.
    """
    inside = None if region is None else region.places(params.places.grid)
    make = partial(PlacesExtractor, params, runtime, inside)
    extractor = make()
    settings = {"backbone": params.backbone, **params.places.model_dump()}
    config = configuration(CODE_VERSION, {"places": settings}, params, extractor)
    rows = through(make, extractor, images, config, cache)
    shapes: dict[str, tuple[int, ...]] = {"maps": extractor.maps, "pooled": (extractor.pooled,)}
    meta = {**settings, "weights": params.weights, "channels": extractor.maps[1]}
    meta |= {} if inside is None else {"inside": inside}
    made = images.dropna(subset="kind") if "kind" in images else images[:0].assign(kind="")
    kinds = dict(zip(made["image_id"], made["kind"], strict=True))
    write_rows(out, rows.ids, map(extractor.split, rows.arrays), shapes, meta, rows.sizes, kinds)
    return {"images": len(rows.ids), "computed": rows.computed}
