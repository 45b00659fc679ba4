"""The photos that look most like another one: what normal looks like, beside a photo in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from adrefine.places.out_of_fold import Flags
from adrefine.places.sharded import Store

NEIGHBOURS = 15  # umap-learn's own choice
FEWEST = 2 * NEIGHBOURS  # photos; of fewer each is the neighbour of nearly all


class Similar:
    """Nearest neighbours by pooled vectors, each channel in its own units.

    Args:
        store: has the pooled vectors (n, dim) of `ids`.
    """

    def __init__(self, store: Store, ids: Sequence[str]) -> None:
        vectors = store.pooled(ids).astype(np.float32)
        vectors = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6)
        self.vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)

    def principal(self) -> np.ndarray:
        """The photos (n, 2) along their two principal components, each from -1 to 1."""
        centred = (self.vectors - self.vectors.mean(axis=0)).astype(np.float64)
        _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
        points = centred @ directions[:, :-3:-1]
        return _within(
            points * np.where(points.sum(axis=0) < 0, -1, 1)
        )  # a sign of its own each time means nothing

    def plane(self) -> tuple[np.ndarray, str]:
        """The photos (n, 2), each axis from -1 to 1, and what the axes are.

        UMAP (McInnes et al. 2018) where it is installed and the photos suffice, else principal components.
        """
        if len(self.vectors) < FEWEST or find_spec("umap") is None:
            return self.principal(), "two principal components"
        from umap import UMAP

        # Begun from the principal components, and seeded: the same photos lie at the same place each time.
        umap = UMAP(n_neighbors=NEIGHBOURS, init=10 * self.principal(), random_state=0, n_jobs=1)
        points = umap.fit_transform(self.vectors)
        return _within(points - (points.max(axis=0) + points.min(axis=0)) / 2), "UMAP"

    def to(self, row: int, among: Flags, count: int) -> list[int]:
        """Rows of the `count` photos most like that of `row`, itself not, of those that are `among` (n,)."""
        like = np.where(among, self.vectors @ self.vectors[row], -np.inf)
        like[row] = -np.inf
        best = np.argsort(-like, kind="stable")[:count]
        return [int(place) for place in best if np.isfinite(like[place])]


def _within(points: np.ndarray) -> np.ndarray:
    return np.asarray(points / (np.abs(points).max(axis=0) + 1e-12))
