"""The voters of the evidence: their scores, the units that make them comparable, and what each earns.

- Places: a Gaussian at every place of the maps, of the training photos outside the photo's fold.
- Pooled: the same of one vector of the whole photo.
- Families: places again, of the photos of other families of similar ones.
- Own: places again, of all photos: what the model says of photos that it has learned.
- Discriminator: photos against their twins with a synthetic defect, as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adrefine.places import discriminator
from adrefine.places.models import Models, Seen
from adrefine.places.out_of_fold import Array, Asked, Distances, Flags, separation
from adrefine.places.sums import photo_scores

PLACES, POOLED, FAMILIES, OWN, DISCRIMINATOR = "places", "pooled", "families", "own", "discriminator"
TOP = 0.05  # share of the places that a photo's score is the mean of


@dataclass(frozen=True)
class Voter:
    """One voter's logarithmic scores, higher is more suspicious.

    Attributes:
        photos, twins: (n,) of the training photos and of their twins, out of fold, of `own` by the model of
            all photos; NaN where there is no twin, None without any or where they do not count.
        held: (m,) of held-out photos, which no fold saw.
        good: (n,) photos that nobody called defective: the others decide no unit and no weight.
        telling: how well it tells synthetic defects from photos, their AUROC; .5 without any. What is said
            of `own` is the places'.
    """

    name: str
    photos: Array
    twins: Array | None
    held: Array
    good: Flags
    telling: float

    @property
    def middle(self) -> float:
        """Median of the photos' scores."""
        return float(np.median(self.photos[self.good]))

    @property
    def unit(self) -> float:
        """Deviation from the median of the photos under it, which no defect widens."""
        under = self.photos[self.good & (self.photos <= self.middle)] - self.middle
        return float(np.sqrt(np.mean(under**2))) or 1.0

    def standard(self, scores: Array) -> Array:
        """Scores in this voter's own units: over the photos' median, in deviations of the half under it."""
        return (scores - self.middle) / self.unit


def earned(voters: Sequence[Voter]) -> Array:
    """Weight of each voter, together 1: the square of how far its `telling` is over chance."""
    squares = np.array([max(voter.telling - 0.5, 1e-3) ** 2 for voter in voters])
    return np.asarray(squares / squares.sum())


def together(voters: Sequence[Voter], weights: Sequence[float] | Array, scores: Sequence[Array]) -> Array:
    """The voters' logarithmic scores (n,), in their own units, by their weights."""
    parts = [w * voter.standard(own) for w, voter, own in zip(weights, voters, scores, strict=True)]
    return np.asarray(np.sum(parts, axis=0))


def voters_of(models: Models, asked: Asked, seen: Seen, good: Flags, top: float = TOP) -> tuple[Voter, ...]:
    """All voters of the models there are; the discriminator with synthetic defects alone.

    Args:
        seen: distances of what is `asked`. good: (n,) photos that nobody called defective.
    """
    places, pooled = _voter(PLACES, seen.places, good, top), _voter(POOLED, seen.pooled, good, top)
    if seen.families is None or seen.own is None:
        return places, pooled
    own = as_learned(_voter(OWN, seen.own, good, top), places)
    families = _voter(FAMILIES, seen.families, good, top)
    if asked.twins is None:
        return places, pooled, families, own
    said = discriminator.says(models.pooled, asked, good)
    judge = Voter(DISCRIMINATOR, said.photos, said.twins, said.held, good, said.telling)
    return places, pooled, families, own, judge


def as_learned(own: Voter, places: Voter) -> Voter:
    """What a model says of the photos that it has learned; of known defects and held-out photos, which it has
    not, as `places`: they would stand out by that alone.

    So would twins: it earns what the places do out of fold.
    """
    photos, held = (own.middle + own.unit * places.standard(said) for said in (places.photos, places.held))
    return replace(own, photos=np.where(own.good, own.photos, photos), held=held, telling=places.telling)


def _voter(name: str, distances: Distances, good: Flags, top: float) -> Voter:
    """The voter of these distances; of one place the worst share is that place."""
    photos, held = photo_scores(distances.photos, top), photo_scores(distances.held, top)
    if distances.twins is None:
        return Voter(name, photos, None, held, good, 0.5)
    twins = photo_scores(distances.twins, top)
    told = separation(photos[good], twins[good & ~np.isnan(twins)])
    return Voter(name, photos, twins, held, good, told)
