"""What detectors on the features of the frozen backbone share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.detectors.base import Detector, Images, no_twins
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

    def describe(self, images: Images, *, twins: bool = False) -> np.ndarray:
        """Frozen features, mean over views."""
        from adrefine.manifest import synthetic_id

        store = self.store(images)
        ids = [synthetic_id(image_id) for image_id in images.ids] if twins else list(images.ids)
        if twins and not store.has(ids):
            raise no_twins()
        return store.vectors(ids).mean(axis=1).astype(float)
