"""Anomaly maps from places: where a photo differs from what is usual there, whatever detector is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.paths import PLACES
from adrefine.places.models import PLACES_SHRINKAGE
from adrefine.places.sharded import Read
from adrefine.places.store import open_places
from adrefine.places.sums import Array, Flags, Gaussians, Maps, Sums


def of_photos(
    prepared: Path, trained: Iterable[str], ids: Sequence[str], files: Sequence[Path]
) -> np.ndarray:
    """Maps of the photos `ids` in `files`, by a Gaussian at every place of the photos `trained`; see `drawn`.

    Args:
        prepared: the folder data/prepared. trained: those that the model to be shown has learned.
    """
    return drawn(gaussians(usual(prepared, trained)), open_places(prepared / PLACES).maps(ids), files)


def usual(prepared: Path, trained: Iterable[str]) -> Sums:
    """What the photos `trained` have at every place."""
    ids = sorted(trained)
    own = np.zeros(len(ids), dtype=np.int64)
    return Read(open_places(prepared / PLACES)).sums(ids, np.ones(len(ids)), own)[0]


def gaussians(sums: Sums) -> Gaussians:
    """The model that maps are drawn by."""
    return sums.model(PLACES_SHRINKAGE)


def drawn(model: Gaussians, maps: Maps, files: Sequence[Path]) -> np.ndarray:
    """Squared distances over their number of channels, about 1 where usual, at the size of each file.

    Args:
        maps: (n, places, channels), the places of a square grid. files: the n photos, all of one size.

    Returns:
        (n, h, w) float32, not negative; cubic between the places, which points better than linear.
    """
    distances = model.distances(maps) / maps.shape[2]
    if (~model.seen).any():
        distances = distances[:, nearest(model.seen)]
    sized = [enlarged(row, _size(file)) for row, file in zip(distances, files, strict=True)]
    return np.stack(sized) if sized else np.zeros((0, 1, 1), np.float32)


def nearest(seen: Flags) -> npt.NDArray[np.int64]:
    """The number of the nearest place of those `seen` (p,): a map does not fall towards the region's edge."""
    from scipy.ndimage import distance_transform_edt

    side = round(len(seen) ** 0.5)
    rows, columns = distance_transform_edt(
        ~seen.reshape(side, side), return_distances=False, return_indices=True
    )
    return np.asarray(rows * side + columns, dtype=np.int64).ravel()


def enlarged(places: Array, size: tuple[int, int]) -> np.ndarray:
    """The distances (p,) of a square grid as a map of `size`, (h, w) float32."""
    import torch
    import torch.nn.functional as F

    side = round(len(places) ** 0.5)
    grid = torch.from_numpy(places.astype(np.float32)).view(1, 1, side, side)
    return F.interpolate(grid, size, mode="bicubic", align_corners=False)[0, 0].clamp(min=0).numpy()


def _size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.height, image.width
