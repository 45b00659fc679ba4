"""Distances of photos to models that did not see them: a Gaussian at every place for each fold left out.

Everything follows from sums (`places.sums`), so it takes time linear in the photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from adrefine.places.sharded import Numbers, Read
from adrefine.places.sums import Gaussians
from adrefine.runtime.seeds import derived_seed

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FOLDS = 5
_LEAST = 1e-12  # squared distance whose logarithm is still taken


class Asked(NamedTuple):
    """Whose distances are asked for: training photos, their twins ("": it has none), held-out photos."""

    ids: Sequence[str]
    twins: Sequence[str] | None
    held: Sequence[str]


@dataclass(frozen=True)
class Distances:
    """Squared distances (n, p), (n, p) and (m, p), over 0; NaN where there is no twin."""

    photos: Array
    twins: Array | None
    held: Array


class OutOfFold:
    """A Gaussian at every place of the photos of all folds but one, for each fold.

    Attributes:
        folds: (n,) fold of each photo. models: one for each fold, of the photos of the others.
        sums: what each model follows from. learned: how many photos it has learned, by their weight.
        outside: whether it does not know the fold's photos; where there are not two others, it knows all.
        total: sums of all photos.

    Args:
        weights: (n,) of the photos; 0: nobody learns it.
    """

    def __init__(
        self, read: Read, ids: Sequence[str], folds: Numbers, weights: Array, shrinkage: float
    ) -> None:
        self.read, self.folds, self.shrinkage = read, folds, shrinkage
        parts = read.sums(ids, weights, np.where(weights > 0, folds, -1), FOLDS)
        self.total = sum(parts[1:], parts[0])
        rests = [self.total - part for part in parts]
        self.outside = [bool(rest.weight.min() > 1.5) for rest in rests]
        self.sums = [rest if left else self.total for rest, left in zip(rests, self.outside, strict=True)]
        self.models: list[Gaussians] = [one.model(shrinkage) for one in self.sums]
        self.learned = [float(one.weight[0]) for one in self.sums]

    def distances(self, asked: Asked) -> Distances:
        """Of training photos and their twins by the model without their fold; of held-out ones by all models,
        their geometric mean."""
        twins = None if asked.twins is None else self._without_fold(asked.twins)
        every = (np.full(len(asked.held), fold) for fold in range(FOLDS))
        logarithms = [np.log(self._over_0(asked.held, fold)) for fold in every]
        return Distances(self._without_fold(asked.ids), twins, np.exp(np.mean(logarithms, axis=0)))

    @cached_property
    def of_all(self) -> Gaussians:
        """The model of all photos."""
        return self.total.model(self.shrinkage)

    def learned_by_all(self, asked: Asked) -> Distances:
        """Of training photos by the model of all of them; none of twins and of held-out ones."""
        own = np.zeros(len(asked.ids), np.int64)
        photos = np.maximum(self.read.distances([self.of_all], asked.ids, own), _LEAST)
        return Distances(photos, None, photos[:0])

    def _without_fold(self, ids: Sequence[str]) -> Array:
        scores = np.full((len(ids), len(self.models[0].mean)), np.nan)
        named = np.flatnonzero([name != "" for name in ids])
        scores[named] = self._over_0([name for name in ids if name], self.folds[named])
        return scores

    def _over_0(self, ids: Sequence[str], which: Numbers) -> Array:
        return np.maximum(self.read.distances(self.models, ids, which), _LEAST)


def separation(good: Array, bad: Array) -> float:
    """Chance that a random one of the scores `bad` is over a random one of `good` (AUROC); a tie is half.
    Without any `bad`, .5."""
    if not len(bad):
        return 0.5
    left, right = (np.searchsorted(np.sort(good), bad, side) for side in ("left", "right"))
    return float(np.mean(left + right) / (2 * len(good)))


def folds_of(ids: Sequence[str], seed: int, parts: Mapping[str, str] = MappingProxyType({})) -> Numbers:
    """Fold (n,) of each photo, from its part or id and the seed; as even in parts as can be."""
    names = [parts.get(image_id, image_id) for image_id in ids]
    order = sorted(set(names), key=lambda name: derived_seed("fold", seed, name))
    fold_of = {name: rank % FOLDS for rank, name in enumerate(order)}
    return np.array([fold_of[name] for name in names], dtype=np.int64)
