"""What detectors on the features of the frozen backbone share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.detectors.base import Detector, Images
from adrefine.paths import FEATURES

if TYPE_CHECKING:
    import numpy as np

    from adrefine.features.store import Store


class OnFeatures(Detector):
    """A detector that reads data/prepared/features."""

    def store(self, images: Images) -> Store:
        """The features of all images, on disk."""
        from adrefine.features.store import open_store

        return open_store(images.prepared / FEATURES)

    def vectors(self, images: Images) -> np.ndarray:
        """(n, views, dim) float32 of `images`, in their order."""
        return self.store(images).vectors(images.ids)

    def mean_vectors(self, images: Images) -> np.ndarray:
        """(n, dim) float64 of `images`, in their order: the mean over views."""
        return self.vectors(images).mean(axis=1).astype(float)
