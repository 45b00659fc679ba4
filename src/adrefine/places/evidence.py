"""Label-free evidence that a photo is defective: voters that did not see it, weighted by what they earn.

Every voter is a Gaussian of the training photos outside the photo's fold: at every place of the maps, and of
the pooled vector of the whole photo. Its weight is how well it tells photos from their twins with a
synthetic defect on the product at hand. Everything follows from sums (`places.sums`), so it takes time
linear in the photos. Measured in benchmarks/products/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from adrefine.manifest import synthetic_id
from adrefine.places.sums import Sums, photo_scores
from adrefine.runtime.seeds import derived_seed

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.detectors.base import Images
    from adrefine.review import Verdicts

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

FOLDS = 5
FEWEST = 10  # photos for the folds to mean something
PLACES, POOLED = "places", "pooled"  # names of the voters
PLACES_SHRINKAGE, POOLED_SHRINKAGE = 0.1, 0.43  # of the covariances, see Sums.model
TOP = 0.05  # share of the places that a photo's score is the mean of
ODD = 2.0  # robust deviations over what is usual at a place from which it counts as odd
_LEAST = 1e-12  # squared distance whose logarithm is still taken
ROBUST = 1.4826  # median absolute deviations to a standard deviation


class Store(Protocol):
    """Maps (n, places, channels) and pooled vectors (n, dim) of images, as `embed` keeps them."""

    def maps(self, ids: Iterable[str]) -> np.ndarray: ...

    def pooled(self, ids: Iterable[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Voter:
    """One voter's logarithmic scores, higher is more suspicious.

    Attributes:
        photos, twins: (n,) of the training photos and of their twins, out of fold; no twins: None.
        held: (m,) of held-out photos, which no fold saw.
        good: (n,) photos that nobody called defective: the others decide no unit and no weight.
    """

    name: str
    photos: Array
    twins: Array | None
    held: Array
    good: Flags

    @property
    def telling(self) -> float:
        """Chance that a random twin scores over a random photo (the AUROC of the two); .5 without twins."""
        if self.twins is None:
            return 0.5
        ordered = np.sort(self.photos[self.good])
        left, right = (np.searchsorted(ordered, self.twins[self.good], side) for side in ("left", "right"))
        return float(np.mean(left + right) / (2 * len(ordered)))

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
            NaN without twins. Parts that lie in any pose have a large one, and what stands out among them may
            be a rare pose.
        width: logarithm of the upper width of the places' scores, in steps from photo to twin; NaN without.
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

    def loudest(self) -> list[str]:
        """Name of the voter that says most against each training photo (n)."""
        says = [w * v.standard(v.photos) for w, v in zip(self.weights, self.voters, strict=True)]
        return [self.voters[place].name for place in np.argmax(says, axis=0)]

    def table(self) -> pd.DataFrame:
        """A row a photo and voter: image_id, held_out (0/1), voter, score (its own units), weight, rank (1 is
        the most suspicious, of the training photos; a held-out photo's is where it would stand), and for the
        places row and column of the most unusual one; `together` has the strength."""
        import pandas as pd

        names, held = [*self.ids, *self.held], [0] * len(self.ids) + [1] * len(self.held)
        votes = [
            (voter.name, weight, voter.standard(voter.photos), voter.standard(voter.held))
            for voter, weight in zip(self.voters, self.weights, strict=True)
        ]
        parts = []
        for name, weight, photos, others in [*votes, ("together", 1.0, self.strength, self.held_strength)]:
            over = len(photos) - np.searchsorted(np.sort(photos), np.concatenate([photos, others]), "right")
            columns = {"image_id": names, "held_out": held, "voter": name, "weight": weight, "rank": over + 1}
            part = pd.DataFrame(columns).assign(score=np.concatenate([photos, others]))
            for axis, place in zip(("row", "column"), self.cells.T, strict=True):
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
) -> Evidence:
    """The evidence on training photos `ids` and held-out ones.

    Args:
        seed: decides the folds, with the ids.
        known: photos that a human called defective: no model learns them, no unit is taken from them.
        twins: whether `store` has a synthetic defect of each training photo; without, all voters weigh the
            same.
        shrinkage, top: of the covariance at a place, and share of the places that a score is the mean of.
    """
    good = np.array([image_id not in known for image_id in ids])
    folds = _folds(ids, seed)
    asked = _Asked(ids, [synthetic_id(image_id) for image_id in ids] if twins else None, held)
    at_places = _OutOfFold(store.maps, ids, folds, good, shrinkage).distances(asked)
    of_whole = _OutOfFold(_flat(store.pooled), ids, folds, good, POOLED_SHRINKAGE).distances(asked)
    voters = (
        at_places.voter(PLACES, good, lambda found: photo_scores(found, top)),
        of_whole.voter(POOLED, good, lambda found: np.log(found[:, 0])),
    )
    earned = np.array([max(voter.telling - 0.5, 1e-3) ** 2 for voter in voters])
    weights = earned / earned.sum()
    photos = np.sum([w * v.standard(v.photos) for w, v in zip(weights, voters, strict=True)], axis=0)
    others = np.sum([w * v.standard(v.held) for w, v in zip(weights, voters, strict=True)], axis=0)
    middle = float(np.median(photos[good]))
    unit = ROBUST * float(np.median(np.abs(photos[good] - middle))) or 1.0
    return Evidence(
        tuple(ids),
        tuple(held),
        voters,
        tuple(weights.tolist()),
        (photos - middle) / unit,
        (others - middle) / unit,
        np.concatenate([_cells(at_places.photos), _cells(at_places.held)]),
        _spread(at_places, good),
        _width(voters[0]),
    )


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
    twins = store.has(synthetic_id(image_id) for image_id in images.ids)
    return gather(store, images.ids, held, seed, verdicts.remove, twins)


class _Asked(NamedTuple):
    """Whose distances are asked for: training photos, what was made of each, held-out photos."""

    ids: Sequence[str]
    twins: Sequence[str] | None
    held: Sequence[str]


@dataclass(frozen=True)
class _Distances:
    """Squared distances (n, p), (n, p) and (m, p), over 0."""

    photos: Array
    twins: Array | None
    held: Array

    def voter(self, name: str, good: Flags, score: Callable[[Array], Array]) -> Voter:
        twins = None if self.twins is None else score(self.twins)
        return Voter(name, score(self.photos), twins, score(self.held), good)


class _OutOfFold:
    """A Gaussian at every place of the good photos of all folds but one, for each fold."""

    def __init__(
        self,
        read: Callable[[Iterable[str]], np.ndarray],
        ids: Sequence[str],
        folds: Numbers,
        good: Flags,
        shrinkage: float,
    ) -> None:
        self.read, self.folds = read, folds
        parts = [Sums.of(read(_of(ids, (folds == fold) & good))) for fold in range(FOLDS)]
        total = sum(parts[1:], parts[0])
        rests = [total - part for part in parts]
        self.models = [(rest if rest.weight.min() > 1.5 else total).model(shrinkage) for rest in rests]

    def distances(self, asked: _Asked) -> _Distances:
        """Of training photos and their twins by the model without their fold; of held-out ones by all models,
        their geometric mean."""
        twins = None if asked.twins is None else self._without_fold(asked.twins)
        held = self.read(asked.held)
        each = [np.log(np.maximum(model.distances(held), _LEAST)) for model in self.models]
        return _Distances(self._without_fold(asked.ids), twins, np.exp(np.mean(each, axis=0)))

    def _without_fold(self, ids: Sequence[str]) -> Array:
        parts = [
            model.distances(self.read(_of(ids, self.folds == fold))) for fold, model in enumerate(self.models)
        ]
        found = np.empty((len(ids), parts[0].shape[1]))
        for fold, part in enumerate(parts):
            found[self.folds == fold] = np.maximum(part, _LEAST)
        return found


def _spread(distances: _Distances, good: Flags) -> float:
    """The median share of odd places over the median of what a synthetic defect adds to it; see Evidence."""
    if distances.twins is None:
        return float("nan")
    photos, twins = np.log(distances.photos[good]), np.log(distances.twins[good])
    usual = np.median(photos, axis=0)
    unit = ROBUST * np.median(np.abs(photos - usual), axis=0) + 1e-9
    odd, with_defect = (((found - usual) / unit > ODD).mean(axis=1) for found in (photos, twins))
    added = max(float(np.median(with_defect - odd)), 1 / photos.shape[1])
    return float(np.median(odd)) / added


def _width(voter: Voter) -> float:
    """Logarithm of the photos' ninth decile over their median, in interquartile ranges of the steps from
    photo to twin: hidden defects widen the upper side, and hardly touch how far a defect moves each photo."""
    if voter.twins is None:
        return float("nan")
    low, high = np.quantile((voter.twins - voter.photos)[voter.good], [0.25, 0.75])
    middle, upper = np.quantile(voter.photos[voter.good], [0.5, 0.9])
    return float(np.log(max(upper - middle, 1e-9) / max(high - low, 1e-9)))


def _cells(distances: Array) -> Numbers:
    """Row and column (n, 2) of the largest of the distances (n, p) of a square grid."""
    if not len(distances):
        return np.zeros((0, 2), dtype=np.int64)
    side = round(distances.shape[1] ** 0.5)
    return np.stack(np.divmod(np.argmax(distances, axis=1), side), axis=1)


def _folds(ids: Sequence[str], seed: int) -> Numbers:
    """Fold (n,) of each photo, from its id and the seed; as even as can be."""
    order = sorted(range(len(ids)), key=lambda place: derived_seed("fold", seed, ids[place]))
    folds = np.zeros(len(ids), dtype=np.int64)
    folds[order] = np.arange(len(ids)) % FOLDS
    return folds


def _of(ids: Sequence[str], chosen: Flags) -> list[str]:
    return [image_id for image_id, inside in zip(ids, chosen, strict=True) if inside]


def _flat(read: Callable[[Iterable[str]], np.ndarray]) -> Callable[[Iterable[str]], np.ndarray]:
    """Vectors (n, dim) as maps (n, 1, dim) of one place."""
    return lambda ids: read(ids)[:, None]
