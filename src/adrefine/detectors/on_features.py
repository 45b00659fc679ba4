"""What detectors on the features of the frozen backbone share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.detectors.base import Detector, Images
from adrefine.paths import FEATURES

if TYPE_CHECKING:
    import numpy as np
    import torch

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


def some_views(vectors: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """`count` different views of each image, drawn anew: (n, views, dim) -> (n, count, dim); 0: all.

    In place of the random rotations of a training step (DifferNet sect. 3.3): a frozen backbone sees each
    stored view once.
    """
    import torch

    images, views = vectors.shape[:2]
    if not 0 < count < views:
        return vectors
    drawn = torch.rand((images, views), generator=generator).argsort(dim=1)[:, :count].to(vectors.device)
    return vectors[torch.arange(images, device=vectors.device)[:, None], drawn]
