"""Maps of places and pooled vectors of every photo and twin on disk: what `embed` leaves in data/prepared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from adrefine.features.embed import configuration, through
from adrefine.features.store import Rows, opened, write_rows
from adrefine.params import Embed
from adrefine.places.extract import PlacesExtractor

CODE_VERSION = 1  # raise it when a change to this package changes maps, so that old entries are not used


class Places(Rows):
    """Read-only: `maps.npy` (n, places, channels) and `pooled.npy` (n, dim), float16."""

    arrays = ("maps", "pooled")

    def maps(self, ids: Iterable[str]) -> np.ndarray:
        """Maps (n, places, channels) float16 of the images `ids`, in that order."""
        return self.read("maps", ids)

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        """Pooled vectors (n, dim) float16 of the images `ids`, in that order."""
        return self.read("pooled", ids)


def open_places(folder: Path) -> Places:
    """The places in `folder` (data/prepared/places); see `features.store.opened`."""
    return opened(Places, folder)


def embed_places(images: pd.DataFrame, params: Embed, out: Path, cache: Path) -> dict[str, int]:
    """Write maps and pooled vectors of `images` (columns image_id, path) to `out`; see `features.embed`.

    Returns:
        {"images": all, "computed": those that went through the backbone}.
    """
    extractor = PlacesExtractor(params)
    settings = {"backbone": params.backbone, **params.places.model_dump()}
    config = configuration(CODE_VERSION, {"places": settings}, params.weights, extractor)
    found = through(extractor, images, config, cache)
    shapes: dict[str, tuple[int, ...]] = {"maps": extractor.maps, "pooled": (extractor.pooled,)}
    meta = {**settings, "weights": params.weights, "channels": extractor.maps[1]}
    write_rows(out, found.ids, map(extractor.split, found.arrays), shapes, meta)
    return {"images": len(found.ids), "computed": found.computed}
