"""A ranking of photos on places that follows a person's answers at once, whatever detector is refined.

A defect that a person confirms leaves all models that have learned it. One photo is a change of rank one
of every sum (`places.sums`), so the distances of all photos follow without solving anything anew (Sherman and
Morrison 1950). The order in which photos go does not matter, beyond rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from adrefine.places import evidence, votes
from adrefine.places.models import learn
from adrefine.places.out_of_fold import Array, Asked, OutOfFold
from adrefine.places.sharded import Numbers, Store
from adrefine.places.sums import Gaussians, photo_scores
from adrefine.places.voters import FAMILIES, OWN, PLACES, POOLED, TOP, Voter, as_learned, together, voters_of
from adrefine.places.votes import Votes
from adrefine.reviewing.alike import Alike
from adrefine.runtime.hardware import one_core_each

REMOVE, ADD = -1.0, 1.0
FEWEST = 2  # photos that a model keeps


class Ranking:
    """How far each training photo stands out (`Evidence.strength`), without the defects confirmed so far.

    Voters' weights, the families, the scale of the channels, what is added to each covariance and what
    synthetic defects taught the discriminator are those of the start.

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
        self.good = np.ones(len(ids), bool)
        models = learn(store, ids, self.good, seed, parts=parts)
        made = evidence.twins_of(store, ids) if twins else None
        asked = Asked(tuple(ids), made, tuple(held))
        seen = models.distances(asked)
        said = voters_of(models, asked, seen, self.good)
        self.evidence = evidence.with_variants(store, evidence.weighed(asked, seen, said))
        places = _Live.of(models.places, seen.places.photos, ids)
        self.live = {PLACES: places, POOLED: _Live.of(models.pooled, seen.pooled.photos, ids)}
        if models.families is not None and seen.families is not None and seen.own is not None:
            self.live[FAMILIES] = _Live.of(models.families, seen.families.photos, ids)
            self.live[OWN] = places.learned_by_all(models.places, seen.own.photos)
        self.strength, self.voters = self.evidence.strength, self.evidence.voters
        self.alike = Alike(places.photo, seen.places.photos)

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
        distances = self.live[PLACES].distances[place]
        row, column = divmod(int(np.argmax(distances)), round(len(distances) ** 0.5))
        return row, column

    def votes(self, place: int) -> Votes:
        """What each voter says now of the photo at `place` of the ids."""
        return votes.of_training(self.voters, self.evidence.weights, place, self.cell(place))

    def map(self, place: int) -> Array:
        """Squared distances (p,) at the places of the photo at `place` of the ids, over their channels;
        outside the region of interest the median of those inside."""
        live = self.live[PLACES]
        squared = np.asarray(live.distances[place] / live.parts[0].mean.shape[1])
        seen = live.parts[0].mean.any(axis=1)
        return squared if seen.all() else np.where(seen, squared, np.median(squared[seen]))

    def _change(self, place: int, sign: float) -> None:
        if self.good[place] == (sign == ADD):
            return
        good = self.good.copy()
        good[place] = sign == ADD
        for live in self.live.values():
            live.change(place, sign)
        told = tuple(
            replace(voter, photos=self._says(voter), twins=None, good=good) for voter in self.evidence.voters
        )
        told = tuple(as_learned(voter, told[0]) if voter.name == OWN else voter for voter in told)
        photos = together(told, self.evidence.weights, [voter.photos for voter in told])
        middle, unit = evidence.robust(photos[good])
        self.strength, self.good, self.voters = (photos - middle) / unit, good, told

    def _says(self, voter: Voter) -> Array:
        """What a voter says (n,) of the photos now."""
        if voter.name not in self.live:
            return voter.photos
        return photo_scores(self.live[voter.name].distances, TOP)


@dataclass
class _Live:
    """Distances (n, p) of all photos to models, as photos leave and come back.

    Attributes:
        folds: (n,) the fold of each photo. parts: of each fold, its photos and the model that measures them.
        outside: of each fold, whether that model does not know them.
    """

    folds: Numbers
    parts: list[_Part]
    distances: Array
    outside: Sequence[bool]

    @classmethod
    def of(cls, models: OutOfFold, distances: Array, ids: Sequence[str]) -> _Live:
        """Of photos and the models of the other folds, which are at these `distances`."""
        maps = models.read(ids)
        parts = []
        for fold, (model, learned) in enumerate(zip(models.models, models.learned, strict=True)):
            rows = np.flatnonzero(models.folds == fold)
            content = np.ascontiguousarray(maps[rows].astype(np.float32).swapaxes(0, 1))
            parts.append(_Part.of(model, learned, rows, content, distances[rows]))
        return cls(models.folds, parts, distances.copy(), models.outside)

    def learned_by_all(self, models: OutOfFold, distances: Array) -> _Live:
        """The same photos, and the model that has learned all of them."""
        count = float(models.total.weight[0])
        parts = [
            _Part.of(models.of_all, count, part.rows, part.content, distances[part.rows])
            for part in self.parts
        ]
        return _Live(self.folds, parts, distances.copy(), [False] * len(parts))

    def photo(self, place: int) -> Array:
        """The map (p, d) of the photo at `place`."""
        return self.parts[self.folds[place]].photo(place)

    def change(self, place: int, sign: float) -> None:
        """Take the photo at `place` out of the models that have learned it, or back into them."""
        photo, distances = self.photo(place), self.distances.copy()
        for fold, part in enumerate(self.parts):
            if not self.outside[fold] or fold != self.folds[place]:
                part.change(place, photo, sign)
                distances[part.rows] = np.maximum(part.distances(), 1e-12)
        self.distances = distances


@dataclass
class _Part:
    """The photos of a fold and a model.

    Attributes:
        rows: (m,) places of the fold's photos among all. scale: (d,) that divides the channels.
        content: (p, m, d) float32, their maps.
        mean: (p, d), of the model, over `scale`.
        inverse: (p, d, d) of the sum of squares plus what is added to it. learned: photos in it.
        squares: (p, m) the photos' squared lengths under `inverse`; times `learned` less one, distances.
        stuck: places of photos that the model still knows, for it knows no two others.
    """

    rows: np.ndarray
    scale: Array
    content: np.ndarray
    mean: Array
    inverse: Array
    learned: float
    squares: Array
    stuck: set[int] = field(default_factory=set)

    @classmethod
    def of(
        cls, model: Gaussians, learned: float, rows: np.ndarray, content: np.ndarray, distances: Array
    ) -> _Part:
        """Of photos with this `content`, at `distances` (m, p) from the model."""
        import torch

        with one_core_each():
            inverse = torch.cholesky_inverse(torch.from_numpy(model.lower)).numpy() / (learned - 1)
        mean, squares = model.mean / model.scale, distances.T / (learned - 1)
        return cls(rows, model.scale, content, mean, inverse, learned, squares)

    def photo(self, place: int) -> Array:
        """The map (p, d) of one of the fold's photos."""
        return self.content[:, int(np.searchsorted(self.rows, place))].astype(np.float64)

    def distances(self) -> Array:
        """Squared Mahalanobis distances (m, p)."""
        return (self.squares * (self.learned - 1)).T

    def change(self, place: int, photo: Array, sign: float) -> None:
        """The photo (p, d) at `place` comes (sign 1) or goes (-1): S' = S + k u uᵀ, mean' = mean + move · u.

        Two photos always stay: of one there is no deviation.
        """
        if sign == ADD and place in self.stuck:
            self.stuck.remove(place)
            return
        if sign == REMOVE and self.learned < FEWEST + 1:
            self.stuck.add(place)
            return
        away = photo / self.scale - self.mean  # u
        after = self.learned + sign
        move, k = sign / after, sign * self.learned / after
        turned = _times(self.inverse, away)  # S⁻¹ u
        length = np.einsum("pd,pd->p", away, turned)[:, None]
        along = _times(self.content, (turned / self.scale).astype(np.float32))
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
