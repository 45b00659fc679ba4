"""What synthetic defects do to a photo as a whole: a direction for each kind of them, learned from twins.

Fisher's linear discriminant of photos and their twins (1936), with the covariance of the photos alone, out of
fold. A photo is as suspicious as the kind says that it resembles most. What the discriminator is worth is
judged on kinds that it did not learn: hidden defects are of no kind that was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from adrefine.places.out_of_fold import FOLDS, Array, Asked, Flags, OutOfFold, separation
from adrefine.places.sharded import Numbers, Read
from adrefine.places.sums import slices

SHRINKAGE = 5.0  # of the covariance, see Sums.model
_ROWS = 1000  # vectors taken at once: bounds memory
_FLAT = 1e-12  # squared length of a shift that moves nothing


class Said(NamedTuple):
    """Scores (n,), (n,) and (m,) out of fold, NaN where there is no twin, and how well twins are told from
    photos by the directions of other kinds than theirs (AUROC); .5 with one kind alone. Of photos in a fold
    that learned no kind the scores are 0."""

    photos: Array
    twins: Array
    held: Array
    telling: float


@dataclass(frozen=True)
class Directions:
    """Of each fold, learned from the photos of the others and their twins.

    Attributes:
        means: (folds, d). along: (folds, kinds, d), 0 of a kind that none of them has. Times a direction, how
            far a photo is from the mean is in deviations by the shrunken covariance.
    """

    read: Read
    means: Array
    along: Array

    def of(self, ids: Sequence[str], which: Numbers) -> Array:
        """How far each image lies (n, kinds) along the directions of fold `which` (n,); along one that the
        fold did not learn infinitely little, along none 0."""
        known = np.asarray(self.along.any(axis=2))
        found = np.zeros((len(ids), self.along.shape[1]))
        for rows in slices(len(ids), _ROWS):
            vectors, folds = _vectors(self.read, ids[rows]), which[rows]
            for fold in np.unique(folds):
                own = folds == fold
                far = (vectors[own] - self.means[fold]) @ self.along[fold].T
                found[rows][own] = np.where(known[fold] | ~known[fold].any(), far, -np.inf)
        return found


def says(models: OutOfFold, asked: Asked, good: Flags) -> Said:
    """What the discriminator says of photos, twins and held-out photos.

    Args:
        models: of the photos as a whole. asked: with twins. good: (n,) photos that nobody called defective:
            the others teach nothing.
    """
    assert asked.twins is not None
    has = np.flatnonzero([name != "" for name in asked.twins])
    twins = [name for name in asked.twins if name]
    kinds, kind = np.unique(np.array(models.read.store.kinds(twins)), return_inverse=True)
    taught = good[has]
    directions = _learned(models, asked, has[taught], kind[taught], len(kinds))
    photos, made = directions.of(asked.ids, models.folds), directions.of(twins, models.folds[has])
    held = [directions.of(asked.held, np.full(len(asked.held), fold)).max(axis=1) for fold in range(FOLDS)]
    scores = np.full(len(asked.ids), np.nan)
    scores[has] = made.max(axis=1)
    told = _telling(photos[good], made[taught], kind[taught])
    return Said(photos.max(axis=1), scores, np.mean(held, axis=0), told)


def _learned(models: OutOfFold, asked: Asked, has: Numbers, kind: Numbers, count: int) -> Directions:
    """The directions from the photos at `has` (t,) to their twins, of `kind` (t,), one of `count`."""
    assert asked.twins is not None
    gaussians = [one.model(SHRINKAGE) for one in models.sums]
    means = np.stack([one.mean[0] for one in gaussians])
    sums, counts = np.zeros((FOLDS, count, means.shape[1])), np.zeros((FOLDS, count))
    for rows in slices(len(has), _ROWS):
        photos, twins = (
            _vectors(models.read, [names[int(place)] for place in has[rows]])
            for names in (asked.ids, asked.twins)
        )
        where = (models.folds[has[rows]], kind[rows])
        np.add.at(sums, where, twins - photos)
        np.add.at(counts, where, 1)
    shifts = (sums.sum(axis=0) - sums) / np.maximum(counts.sum(axis=0) - counts, 1)[..., None]
    along = np.stack(
        [_along(one.lower[0], one.scale, own) for one, own in zip(gaussians, shifts, strict=True)]
    )
    return Directions(models.read, means, along)


def _along(lower: Array, scale: Array, shifts: Array) -> Array:
    """Directions (kinds, d) of the `shifts`, by the covariance of what was divided by `scale` (d,).

    Args:
        lower: (d, d) its Cholesky factor.
    """
    from scipy.linalg import cho_solve

    divided = shifts / scale
    turned = cho_solve((lower, True), divided.T).T
    squared = np.einsum("kd,kd->k", divided, turned)
    return np.asarray(turned / scale / np.sqrt(np.where(squared > _FLAT, squared, np.inf))[:, None])


def _telling(photos: Array, twins: Array, kind: Numbers) -> float:
    """See `Said`: of photos (n, kinds) and twins (t, kinds), of `kind` (t,)."""
    told = []
    for own in np.unique(kind) if photos.shape[1] > 1 else []:
        others = np.delete(np.arange(photos.shape[1]), own)
        inside = twins[kind == own][:, others].max(axis=1)
        told += [separation(photos[:, others].max(axis=1), inside)] * len(inside)
    return float(np.mean(told)) if told else 0.5


def _vectors(read: Read, ids: Sequence[str]) -> Array:
    """Pooled vectors (n, d) float64."""
    return np.asarray(read(ids)[:, 0], dtype=np.float64)
