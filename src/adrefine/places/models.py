"""What the voters look through: models of the places and of the photo as a whole, without some photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from adrefine.places.families import families_of
from adrefine.places.out_of_fold import Array, Asked, Distances, Flags, OutOfFold, folds_of
from adrefine.places.sharded import Read, Store

PLACES_SHRINKAGE, POOLED_SHRINKAGE = 0.1, 0.43  # of the covariances, see Sums.model


class Seen(NamedTuple):
    """Distances to the models, see `Models`; `own` to that of all photos. None: nobody asked."""

    places: Distances
    pooled: Distances
    families: Distances | None = None
    own: Distances | None = None


class Models(NamedTuple):
    """Of the places without a random fold, of the whole photo without it, and of the places without a family
    of similar photos; None: nobody asked."""

    places: OutOfFold
    pooled: OutOfFold
    families: OutOfFold | None = None

    def distances(self, asked: Asked) -> Seen:
        """Of all, see `OutOfFold.distances`."""
        first = self.places.distances(asked), self.pooled.distances(asked)
        if self.families is None:
            return Seen(*first)
        return Seen(*first, self.families.distances(asked), self.places.learned_by_all(asked))


def learn(
    store: Store,
    ids: Sequence[str],
    good: Flags,
    seed: int = 0,
    shrinkage: float = PLACES_SHRINKAGE,
    parts: Mapping[str, str] = MappingProxyType({}),
    weights: Array | None = None,
    more: bool = True,
) -> Models:
    """The models of the training photos `ids`; see `evidence.gather`.

    Args:
        good: (n,) photos that nobody called defective: no model learns the others.
        weights: (n,) of the photos; None: 1 each.
    """
    each = good * (np.ones(len(ids)) if weights is None else weights)
    folds, maps, whole = folds_of(ids, seed, parts), Read(store), Read(store, whole=True)
    places = OutOfFold(maps, ids, folds, each, shrinkage)
    pooled = OutOfFold(whole, ids, folds, each, POOLED_SHRINKAGE)
    if not more:
        return Models(places, pooled)
    families = families_of(whole, ids, good, seed, parts)
    return Models(places, pooled, OutOfFold(maps, ids, families, each, shrinkage))
