"""Label-free evidence that a photo is defective: voters, weighted by what they earn.

The voters are those of `places.voters`. A voter's weight follows from how well it tells photos from their
twins with a synthetic defect on the product at hand (`voters.earned`). Everything follows from sums
(`places.sums`), so it takes time linear in the photos. Measured in benchmarks/products/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from adrefine.manifest import synthetic_id
from adrefine.places.models import PLACES_SHRINKAGE, Seen, learn
from adrefine.places.out_of_fold import Array, Asked, Distances, Flags
from adrefine.places.sharded import Numbers, Store
from adrefine.places.variants import variants
from adrefine.places.voters import PLACES, TOP, Voter, earned, together, voters_of

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.detectors.base import Images
    from adrefine.review import Verdicts

FEWEST = 10  # photos for the folds to mean something, and twins for what is measured with them
_FLAT = 1e-9  # width of scores that are all the same
ODD = 2.0  # robust deviations over what is usual at a place from which it counts as odd
ROBUST = 1.4826  # median absolute deviations to a standard deviation


@dataclass(frozen=True)
class Evidence:
    """What the voters say together.

    Attributes:
        ids, held: training photos (n) and held-out photos (m).
        voters, weights: one weight each, together 1.
        strength, held_strength: how far photos stand out, (n,) and (m,): the voters' weighted scores, over
            the median, in robust deviations (1.4826 MAD).
        cells: (n + m, 2) row and column of each photo's most unusual place.
        spread: in how many places an ordinary photo is odd, measured by how many a synthetic defect touches;
            NaN with fewer than `FEWEST` twins. Parts that lie in any pose have a large one, and what stands
            out among them may be a rare pose.
        width: logarithm of the upper width of the places' scores, in steps from photo to twin; NaN with fewer
            twins, and where either width is 0.
        variants: photos that stand out and may be a rare but good variant, see `places.variants`.
    """

    ids: tuple[str, ...]
    held: tuple[str, ...]
    voters: tuple[Voter, ...]
    weights: tuple[float, ...]
    strength: Array
    held_strength: Array
    cells: Numbers
    spread: float
    width: float
    variants: frozenset[str] = frozenset()

    def among(self, chosen: frozenset[str]) -> Flags:
        """(n,) which of the training photos are `chosen`."""
        return np.array([image_id in chosen for image_id in self.ids], dtype=bool)

    def loudest(self) -> list[str]:
        """Name of the voter that says most against each training photo (n)."""
        says = [w * v.standard(v.photos) for w, v in zip(self.weights, self.voters, strict=True)]
        return [self.voters[place].name for place in np.argmax(says, axis=0)]

    def table(self) -> pd.DataFrame:
        """A row a photo and voter: image_id, held_out (0/1), voter, score (its own units), weight, rank (1 is
        the most suspicious, of the training photos; a held-out photo's is where it would stand), and for the
        places row and column of the most unusual one, counted from 1; `together` has the strength."""
        import pandas as pd

        names, held = [*self.ids, *self.held], [0] * len(self.ids) + [1] * len(self.held)
        votes = [
            (voter.name, weight, voter.standard(voter.photos), voter.standard(voter.held))
            for voter, weight in zip(self.voters, self.weights, strict=True)
        ]
        parts = []
        for name, weight, photos, others in [*votes, ("together", 1.0, self.strength, self.held_strength)]:
            over = len(photos) - np.searchsorted(np.sort(photos), np.concatenate([photos, others]), "right")
            rank = np.minimum(over + 1, len(photos))
            columns = {"image_id": names, "held_out": held, "voter": name, "weight": weight, "rank": rank}
            part = pd.DataFrame(columns).assign(score=np.concatenate([photos, others]))
            for axis, place in zip(("row", "column"), self.cells.T + 1, strict=True):
                part[axis] = pd.array(place if name == PLACES else [pd.NA] * len(part), dtype="Int64")
            parts.append(part)
        return pd.concat(parts).sort_values(["image_id", "voter"], ignore_index=True)


def gather(
    store: Store,
    ids: Sequence[str],
    held: Sequence[str] = (),
    seed: int = 0,
    known: frozenset[str] = frozenset(),
    twins: bool = True,
    shrinkage: float = PLACES_SHRINKAGE,
    top: float = TOP,
    parts: Mapping[str, str] = MappingProxyType({}),
    twin: int = 0,
    more: bool = True,
) -> Evidence:
    """The evidence on training photos `ids` and held-out ones.

    Args:
        seed: decides the folds, with the ids.
        known: photos that a human called defective: no model learns them, no unit is taken from them.
        twins: whether the synthetic defects of training photos that `store` has are used; without, all voters
            weigh the same.
        shrinkage, top: of the covariance at a place, and share of the places that a score is the mean of.
        parts: of photos whose part is known: its shots are in one fold.
        twin: which synthetic defect of each photo is used.
        more: whether all voters vote, not only those of the places and of the photo as a whole.
    """
    good = np.array([image_id not in known for image_id in ids])
    models = learn(store, ids, good, seed, shrinkage, parts, more=more)
    asked = Asked(ids, twins_of(store, ids, twin) if twins else None, held)
    seen = models.distances(asked)
    return with_variants(store, weighed(asked, seen, voters_of(models, asked, seen, good, top)))


def with_variants(store: Store, evidence: Evidence) -> Evidence:
    """The evidence with its `variants`."""
    return replace(evidence, variants=variants(store, evidence.ids, evidence.strength))


def twins_of(store: Store, ids: Sequence[str], twin: int = 0) -> list[str] | None:
    """One synthetic defect of each photo, the first by default, "" where `store` has none; None if of all."""
    names = [synthetic_id(image_id, twin) for image_id in ids]
    there = [name if store.has([name]) else "" for name in names]
    return there if any(there) else None


def weighed(asked: Asked, seen: Seen, voters: tuple[Voter, ...]) -> Evidence:
    """The evidence that follows from what `voters` say, the first of them of the places."""
    weights, good = earned(voters), voters[0].good
    photos = together(voters, weights, [voter.photos for voter in voters])
    others = together(voters, weights, [voter.held for voter in voters])
    middle, unit = robust(photos[good])
    return Evidence(
        tuple(asked.ids),
        tuple(asked.held),
        voters,
        tuple(weights.tolist()),
        (photos - middle) / unit,
        (others - middle) / unit,
        np.concatenate([_cells(seen.places.photos), _cells(seen.places.held)]),
        _spread(seen.places, good),
        _width(voters[0]),
    )


def robust(values: Array) -> tuple[float, float]:
    """Median and robust deviation, 1 if there is none."""
    middle = float(np.median(values))
    return middle, ROBUST * float(np.median(np.abs(values - middle))) or 1.0


def of(images: Images, held: Sequence[str], verdicts: Verdicts, seed: int) -> Evidence | None:
    """The evidence from data/prepared/places; None without that folder or with fewer than `FEWEST` photos.

    Args:
        images: all training photos. held: held-out ones.
    """
    from adrefine.places.store import open_places

    folder = images.prepared / "places"
    if len(images) < FEWEST or not folder.exists():
        return None
    store = open_places(folder)
    return gather(store, images.ids, held, seed, verdicts.remove, parts=images.parts)


def _spread(distances: Distances, good: Flags) -> float:
    """The median share of odd places over the median of what a synthetic defect adds to it; see Evidence."""
    if distances.twins is None or (both := good & ~np.isnan(distances.twins[:, 0])).sum() < FEWEST:
        return float("nan")
    photos, twins = np.log(distances.photos[both]), np.log(distances.twins[both])
    usual = np.median(photos, axis=0)
    unit = ROBUST * np.median(np.abs(photos - usual), axis=0) + 1e-9
    odd, with_defect = (((values - usual) / unit > ODD).mean(axis=1) for values in (photos, twins))
    added = max(float(np.median(with_defect - odd)), 1 / photos.shape[1])
    return float(np.median(odd)) / added


def _width(voter: Voter) -> float:
    """Logarithm of the photos' ninth decile over their median, in interquartile ranges of the steps from
    photo to twin: hidden defects widen the upper side, and hardly touch how far a defect moves each photo."""
    if voter.twins is None or (both := voter.good & ~np.isnan(voter.twins)).sum() < FEWEST:
        return float("nan")
    low, high = np.quantile((voter.twins - voter.photos)[both], [0.25, 0.75])
    middle, upper = np.quantile(voter.photos[voter.good], [0.5, 0.9])
    if min(upper - middle, high - low) < _FLAT:
        return float("nan")
    return float(np.log((upper - middle) / (high - low)))


def _cells(distances: Array) -> Numbers:
    """Row and column (n, 2) of the largest of the distances (n, p) of a square grid."""
    if not len(distances):
        return np.zeros((0, 2), dtype=np.int64)
    side = round(distances.shape[1] ** 0.5)
    return np.stack(np.divmod(np.argmax(distances, axis=1), side), axis=1)
