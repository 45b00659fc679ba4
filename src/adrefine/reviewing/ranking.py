"""A ranking of photos on places that follows a person's answers at once, whatever detector is refined.

A defect that a person confirms leaves the models of all folds but its own. One photo is a change of rank one
of every sum (`places.sums`), so the distances of all photos follow without solving anything anew (Sherman and
Morrison 1950). The order in which photos go does not matter, beyond rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from adrefine.places import evidence, votes
from adrefine.places.out_of_fold import Array, Asked, OutOfFold
from adrefine.places.sharded import Store
from adrefine.places.sums import Gaussians, photo_scores
from adrefine.places.votes import Votes
from adrefine.reviewing.alike import Alike
from adrefine.runtime.hardware import one_core_each

REMOVE, ADD = -1.0, 1.0


class Ranking:
    """How far each training photo stands out (`Evidence.strength`), without the defects confirmed so far.

    Voters' weights, the scale of the channels and what is added to each covariance are those of the start.

    Attributes:
        evidence: what the voters said at the start.
        strength: (n,) of now, in the order of `evidence.ids`. good: (n,) False: it is a confirmed defect.
        voters: what they say now. All three, and the distances, are replaced whole: another thread may read
            them while one changes them.
        alike: whether photos are odd in the same way, as they are to the models of the start.

    Args:
        store: maps and pooled vectors, of the photos and, with `twins`, of a synthetic defect of some.
        held: held-out photos, ranked once.
        parts: as in Images.
    """

    def __init__(
        self,
        store: Store,
        ids: Sequence[str],
        held: Sequence[str] = (),
        seed: int = 0,
        twins: bool = True,
        parts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        models = evidence.learn(store, ids, seed, parts=parts)
        made = evidence.twins_of(store, ids) if twins else None
        asked = Asked(tuple(ids), made, tuple(held))
        distances = models.distances(asked)
        self.good = np.ones(len(ids), bool)
        self.evidence = evidence.with_variants(store, evidence.weighed(asked, distances, self.good))
        self.live = [_Live(model, one.photos, ids) for model, one in zip(models, distances, strict=True)]
        self.strength, self.voters = self.evidence.strength, self.evidence.voters
        self.alike = Alike(self.live[0].photo, distances[0].photos)

    def confirm(self, place: int) -> None:
        """The photo at `place` of the ids is a defect: no model knows it any more, and no unit."""
        self._change(place, REMOVE)

    def restore(self, place: int) -> None:
        """Undo `confirm`."""
        self._change(place, ADD)

    def turn(self, place: int) -> None:
        """Confirm the photo at `place`, or restore it if it is a confirmed defect."""
        self._change(place, REMOVE if self.good[place] else ADD)

    def cell(self, place: int) -> tuple[int, int]:
        """Row and column of the most unusual place of the photo at `place` of the ids."""
        distances = self.live[0].distances[place]
        row, column = divmod(int(np.argmax(distances)), round(len(distances) ** 0.5))
        return row, column

    def votes(self, place: int) -> Votes:
        """What each voter says now of the photo at `place` of the ids."""
        return votes.of_training(self.voters, self.evidence.weights, place, self.cell(place))

    def map(self, place: int) -> Array:
        """Squared distances (p,) at the places of the photo at `place` of the ids, over their channels;
        outside the region of interest the median of those inside."""
        live = self.live[0]
        squared = np.asarray(live.distances[place] / live.parts[0].mean.shape[1])
        seen = live.parts[0].mean.any(axis=1)
        return squared if seen.all() else np.where(seen, squared, np.median(squared[seen]))

    def _change(self, place: int, sign: float) -> None:
        if self.good[place] == (sign == ADD):
            return
        good = self.good.copy()
        good[place] = sign == ADD
        for live in self.live:
            live.change(place, sign)
        scores = [photo_scores(live.distances, evidence.TOP) for live in self.live]
        told = tuple(
            replace(voter, photos=score, twins=None, good=good)
            for voter, score in zip(self.evidence.voters, scores, strict=True)
        )
        photos = evidence.together(told, self.evidence.weights, scores)
        middle, unit = evidence.robust(photos[good])
        self.strength, self.good, self.voters = (photos - middle) / unit, good, told


class _Live:
    """Distances (n, p) of all photos to the models of their folds, as photos leave and come back."""

    def __init__(self, models: OutOfFold, distances: Array, ids: Sequence[str]) -> None:
        self.folds, self.distances = models.folds, distances.copy()
        maps = models.read(ids)
        self.parts = [
            _Part.of(model, learned, maps, np.flatnonzero(models.folds == fold))
            for fold, (model, learned) in enumerate(zip(models.models, models.learned, strict=True))
        ]

    def photo(self, place: int) -> Array:
        """The map (p, d) of the photo at `place`."""
        return self.parts[self.folds[place]].photo(place)

    def change(self, place: int, sign: float) -> None:
        """Take the photo at `place` out of the models that have learned it, or back into them."""
        photo, distances = self.photo(place), self.distances.copy()
        for fold, part in enumerate(self.parts):
            if fold != self.folds[place]:
                part.change(photo, sign)
                distances[part.rows] = np.maximum(part.distances(), 1e-12)
        self.distances = distances


@dataclass
class _Part:
    """The photos of a fold and the model of the others.

    Attributes:
        rows: (m,) places of the fold's photos among all. scale: (d,) that divides the channels.
        content: (p, m, d) float32, their maps over `scale`.
        mean: (p, d), of the model, over `scale`.
        inverse: (p, d, d) of the sum of squares plus what is added to it. learned: photos in it.
        squares: (p, m) the photos' squared lengths under `inverse`; times `learned` less one, distances.
    """

    rows: np.ndarray
    scale: Array
    content: np.ndarray
    mean: Array
    inverse: Array
    learned: float
    squares: Array

    @classmethod
    def of(cls, model: Gaussians, learned: float, maps: np.ndarray, rows: np.ndarray) -> _Part:
        import torch

        inside = maps[rows]
        with one_core_each():
            inverse = torch.cholesky_inverse(torch.from_numpy(model.lower)).numpy() / (learned - 1)
            squares = model.distances(inside).T / (learned - 1)
        content = (inside.astype(np.float32) / model.scale.astype(np.float32)).swapaxes(0, 1)
        mean = model.mean / model.scale
        return cls(rows, model.scale, np.ascontiguousarray(content), mean, inverse, learned, squares)

    def photo(self, place: int) -> Array:
        """The map (p, d) of one of the fold's photos, in the maps' units."""
        at = int(np.searchsorted(self.rows, place))
        return self.content[:, at].astype(np.float64) * self.scale

    def distances(self) -> Array:
        """Squared Mahalanobis distances (m, p)."""
        return (self.squares * (self.learned - 1)).T

    def change(self, photo: Array, sign: float) -> None:
        """One photo (p, d) comes (sign 1) or goes (-1): S' = S + k u uᵀ and mean' = mean + move · u."""
        away = photo / self.scale - self.mean  # u
        after = self.learned + sign
        move, k = sign / after, sign * self.learned / after
        turned = _times(self.inverse, away)  # S⁻¹ u
        length = np.einsum("pd,pd->p", away, turned)[:, None]
        along = _times(self.content, turned.astype(np.float32))
        along = along - np.einsum("pd,pd->p", self.mean, turned)[:, None]  # (x - mean)ᵀ S⁻¹ u
        factor = k / (1 + k * length)
        moved = along - move * length
        self.squares += move * (move * length - 2 * along) - factor * moved**2
        _add_outer(self.inverse, -factor * turned, turned)
        self.mean += move * away
        self.learned = after


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices (p, m, d) times vectors (p, d): (p, m)."""
    import torch

    with one_core_each():
        return torch.bmm(torch.from_numpy(matrices), torch.from_numpy(vectors)[:, :, None]).numpy()[..., 0]


def _add_outer(matrices: Array, left: Array, right: Array) -> None:
    """Add left rightᵀ, both (p, d), to matrices (p, d, d), in place."""
    import torch

    with one_core_each():
        torch.from_numpy(matrices).baddbmm_(
            torch.from_numpy(left)[:, :, None], torch.from_numpy(right)[:, None]
        )
