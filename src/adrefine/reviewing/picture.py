"""A photo beside its map, for a person to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adrefine import paths
from adrefine.areas import region
from adrefine.io import atomic_open
from adrefine.places.maps import enlarged
from adrefine.places.out_of_fold import Array
from adrefine.report.pictures import overlay, thumbnail

SIDE = 448  # pixels of the longer side of each
USUAL = 3.0  # over the photo's median: a map that rises less is shown fainter


def sized(distances: Array, shape: tuple[int, int]) -> np.ndarray:
    """A map (p,) of a square grid at `shape` (h, w), with nothing to see outside the region of interest."""
    drawn, inside = enlarged(distances, shape), region.find(paths.INGESTED)
    return drawn if inside is None else inside.calmed(drawn[None])[0]


def save(photo: Path, distances: Array, path: Path) -> Path:
    """Write the photo and, beside it, its map (p,) of a square grid to `path`; the photo's own path where it
    cannot be read."""
    from PIL import Image

    shown = thumbnail(photo, SIDE)
    if shown is None:
        return photo
    height, width = shown.shape[:2]
    heat = overlay(shown, sized(distances, (height, width)), USUAL)
    with atomic_open(path) as file:
        Image.fromarray(np.concatenate([shown, heat], axis=1)).save(file, "PNG")
    return path
