"""A detector on pixels, with a map: how far a small thumbnail of a photo is from the mean one of training."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from adrefine.detectors.base import Detector, DetectorSettings, Images, Scores, reading
from adrefine.io import atomic_open
from adrefine.paths import PIXELS
from adrefine.sections import AtLeastOne

if TYPE_CHECKING:
    from adrefine.detectors.photos import Photos

_STATE = "thumbnail.npy"


class Settings(DetectorSettings):
    """Section `thumbnail` of params.yaml."""

    reads: ClassVar = (PIXELS,)

    side: AtLeastOne = 32

    @property
    def own_maps(self) -> bool:
        return True

    def create(self) -> Thumbnail:
        return Thumbnail(self)


class Thumbnail(Detector):
    """The map is the difference of each pixel from `mean` (3, side, side); the image score is the largest."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.mean = np.zeros((3, settings.side, settings.side))

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        photos = self._photos(images)
        self.mean = np.mean([_thumbnail(photos, name) for name in images.ids], axis=0)
        return []  # no epochs to write a log of

    def score(self, images: Images) -> Scores:
        photos = self._photos(images)
        largest = [self._difference(photos, name).max() for name in images.ids]
        return Scores(np.array(largest, dtype=float).clip(min=1e-6))  # positive, as a score must be

    def maps(self, images: Images, files: list[Path]) -> np.ndarray:
        from adrefine.detectors.photos import size_of
        from adrefine.places.maps import enlarged

        photos, pairs = self._photos(images), zip(images.ids, files, strict=True)
        maps = [enlarged(self._difference(photos, name).ravel(), size_of(file)) for name, file in pairs]
        return np.stack(maps) if maps else np.zeros((0, 1, 1), np.float32)

    def _difference(self, photos: Photos, name: str) -> np.ndarray:
        """(side, side), the mean over colours; 0 outside the region of interest."""
        difference = np.abs(_thumbnail(photos, name) - self.mean).mean(axis=0)
        return difference if photos.region is None else photos.region.cleared(difference)

    def _photos(self, images: Images) -> Photos:
        from adrefine.detectors.photos import open_photos  # not at the top: it imports torch

        return open_photos(images.prepared / PIXELS, self.settings.side, tiles=False, overlap=0)

    def clone(self) -> Thumbnail:
        return copy.deepcopy(self)

    def save(self, folder: Path) -> None:
        with atomic_open(folder / _STATE) as file:
            np.save(file, self.mean)

    def load(self, folder: Path) -> None:
        with reading(folder, _STATE, "thumbnail"):
            self.mean = np.load(folder / _STATE, allow_pickle=False)


def _thumbnail(photos: Photos, name: str) -> np.ndarray:
    """(3, side, side) float64, 0 to 1."""
    from adrefine.detectors.photos import Window

    return photos.pixels(Window(photos.path(name))).double().numpy()
