"""The evidence of one pooled vector a photo that `consensus` had before places: what these notes measured.

Every kind takes `photos` (n, d), the vectors of the training photos, and `twins` (n, d), those of the same
photos with a synthetic defect, and returns scores of both, (n,) and (n,), higher is more anomalous. How a
photo compares with the twins is what calibrates a score without a label. Photos that a human called
defective, `known` (n,), are real defects to learn from; None: there are synthetic ones alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adrefine.runtime.seeds import derived_seed

Array = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]
Scores = tuple[Array, Array]  # of the photos, of their twins
Kind = Callable[[Array, Array, int, Chosen | None], Scores]

FOLDS = 5
SHRINKAGE = 0.3  # share of the mean variance in every direction of the Gaussian
WIDTHS = (0.3, 1.0)  # of the kernel, times the number of dimensions in standard units
FAMILY = 4  # photos in a family, on average
DIMENSIONS = 64  # principal components in which families are sought
DRAWS = 2  # divisions into families
REAL = 0.5  # what the known defects weigh of all defects that the discriminator learns, however few

# Chosen on seeds that no report uses: benchmarks/refinement/, sections 13 and 14.
GROSS = 2.0  # a photo further than this over the median, in deviations of the steps, counts as so far
CLEAN, SLOPE = 0.15, 0.8  # mean square excess of clean photos is CLEAN / paired ** SLOPE or less
CHANCE = 34.0  # ... and by how much more it may be by chance, as a logarithm, times the number of photos
EACH = 0.4  # what it grows by for a whole set of photos to remove
HIDDEN, GROWING = 2.0, 40.0  # for each photo that stands out, so many go, and more the larger their share
SEEN = 0.6  # paired effect under which the vectors see too little to tell
FEW = 0.05  # no more photos go than look worse than this share of the twins
MOST = 0.5
MANY = 0.3  # hidden share from which the model that learned them is guessing


def consensus(
    photos: Array,
    twins: Array,
    learned: Array,
    seed: int,
    share: float | None = None,
    known: Chosen | None = None,
) -> tuple[Array, float]:
    """Weighted mean rank (n,) of the photos in the kinds of evidence below, and the share of hidden defects.

    Each rank is the share of photos that look better, over 0 and under 1. The kinds err differently: what
    looks foreign need not look defective, and the other way round. The model that is being refined has
    learned the defects: where few hide it still ranks them well, and its vote fades with their share.

    Args:
        learned: the model's scores (n,) of the photos.
        share: the share of hidden defects if it is known; None: `found`.
        known: the photos (n,) that a human called defective. They count for the share like any other, so that
            who confirms a defect does not make the others look cleaner.
    """
    looks, foreign = (kind(photos, twins, seed, known) for kind in (discriminator, density))
    share = found(looks, foreign) if share is None else share
    ranks = [_ranks(scores) for scores in (looks[0], foreign[0], learned)]
    return np.average(ranks, axis=0, weights=[1, 1, max(1 - share / MANY, 0)]), share


def found(looks: Scores, foreign: Scores) -> float:
    """Share of the photos to remove: `hidden_share`, but no more than a few times what `stands_out`.

    The more stand out, the more hide beside each of them: sets with few defects lose few good photos. And no
    more than look `worse` than a few of the twins. Where defects stand out, both are nearer to what there is.

    Args:
        looks, foreign: scores of the discriminator and of the density.
    """
    seen = stands_out(looks[0], *foreign)
    return min(hidden_share(*foreign), (HIDDEN + GROWING * seen) * seen, worse(*looks))


def hidden_share(photos: Array, twins: Array) -> float:
    """Share of hidden defects among the photos, 0 to `MOST`, estimated from scores of the density.

    The `effects` of synthetic defects are the yardstick. Hidden defects widen the upper side of the photos
    and hardly touch how far a synthetic defect moves each, for a defective photo is moved like any other. How
    wide clean photos are follows from how evenly they are moved, alike on different products (but not with
    other kinds of synthetic defects). What is wider, less what chance may do to n photos, grows in proportion
    to the hidden share. It is left high, for a hidden defect costs more than a missing good photo.

    Args:
        photos, twins: scores (n,) and (n,) of the same photos, see `density`.
    """
    paired, excess = effects(photos, twins)
    return float(np.clip((excess.mean() - _clean(paired, CHANCE / len(photos))) / EACH, 0, MOST))


def stands_out(looks: Array, photos: Array, twins: Array) -> float:
    """Smallest share of the photos without which the others are no wider than clean ones; see `hidden_share`.

    They go in the order of both voters. Nearly all are defects, but most defects hide among the good photos.
    Half of what chance may do is granted: what is left has lost its extremes.

    Args:
        looks: scores (n,) of the discriminator.
        photos, twins: scores (n,) and (n,) of the density.
    """
    paired, excess = effects(photos, twins)
    n = len(photos)
    ordered = excess[np.argsort(_ranks(looks) + _ranks(photos), kind="stable")]
    left = np.cumsum(ordered) / np.arange(1, n + 1)  # mean of the best one, two, ...
    narrow = np.flatnonzero(left <= _clean(paired, CHANCE / (2 * n)))
    return 1 - (int(narrow[-1]) + 1) / n if len(narrow) else 1.0


def _clean(paired: float, chance: float) -> float:
    """What the mean square excess of clean photos is or less; anything, if the vectors see too little."""
    return float(CLEAN / paired**SLOPE * np.exp(chance)) if paired >= SEEN else np.inf


def worse(photos: Array, twins: Array) -> float:
    """Share of the photos with a higher score than `FEW` of the twins have at most."""
    return float((photos > np.quantile(twins, FEW)).mean())


def effects(photos: Array, twins: Array) -> tuple[float, Array]:
    """Mean step from photo to twin (paired), and the squares (n,) of the photos' excess over their median.

    Both in standard deviations of the steps. Photos under the median have no excess, and one photo never
    more than `GROSS`: else a single gross defect would count for many.
    """
    steps = twins - photos
    unit = float(steps.std()) + 1e-12
    excess = np.clip((photos - np.median(photos)) / unit, 0, GROSS)
    return float(steps.mean()) / unit, excess**2


def discriminator(photos: Array, twins: Array, seed: int, known: Chosen | None = None) -> Scores:
    """How much a photo looks like one with a synthetic defect, to classifiers trained on the other folds.

    A support-vector machine with a Gaussian kernel: it also bounds where photos are. Hidden defects among the
    photos cost it less than they cost a density (docs/methods.md 8, third lesson). Known defects weigh as
    much as all synthetic ones (benchmarks/refinement/, section 15).
    """
    from sklearn.svm import SVC

    good = _good(photos, known)
    total = (np.zeros(len(photos)), np.zeros(len(photos)))
    for draw, width in enumerate(WIDTHS):
        folds = np.random.default_rng(_seed(seed, "folds", draw)).permutation(np.arange(len(photos)) % FOLDS)
        for fold in np.unique(folds):
            out = folds == fold
            sound, made, real = photos[_outside(out, good)], twins[~out], photos[~out & ~good]
            rows = np.concatenate([sound, made])
            centre, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
            weights = np.repeat([1.0, 1 - REAL * (len(real) > 0)], [len(sound), len(made)])
            weights = np.append(weights, np.full(len(real), REAL * len(made) / max(len(real), 1)))
            model = SVC(C=1.0, gamma=width / photos.shape[1])
            told = np.repeat([0, 1], [len(sound), len(made) + len(real)])
            model.fit((np.concatenate([rows, real]) - centre) / spread, told, weights)
            for scores, vectors in zip(total, (photos, twins), strict=True):
                scores[out] += model.decision_function((vectors[out] - centre) / spread)
    return total


def density(photos: Array, twins: Array, seed: int, known: Chosen | None = None) -> Scores:
    """How far a photo is from a Gaussian of all photos outside its family, but for known defects.

    A family is a cluster of photos that resemble each other. Defects of one kind vouch for each other, also
    across random folds, so the whole family is left out.
    """
    from sklearn.cluster import KMeans

    good = _good(photos, known)
    families = max(2, len(photos) // FAMILY)
    points, total = _principal(photos), (np.zeros(len(photos)), np.zeros(len(photos)))
    for draw in range(DRAWS):
        cluster = KMeans(families, n_init=1, random_state=_seed(seed, "families", draw) % 2**32)
        family_of = cluster.fit_predict(points)
        for family in np.unique(family_of):
            inside = family_of == family
            model = Gaussian(photos[_outside(inside, good)])
            for scores, vectors in zip(total, (photos, twins), strict=True):
                scores[inside] += np.log(model.distance(vectors[inside]))
    return total


class Gaussian:
    """A Gaussian of vectors (n, d) in standard units, its covariance shrunk towards a multiple of identity.

    With fewer vectors than dimensions the directions outside their span keep the shrunk variance, so that
    something quite new is far away. (One thin decomposition instead of a d × d inverse.)
    """

    def __init__(self, vectors: Array) -> None:
        self.centre, self.spread = vectors.mean(axis=0), vectors.std(axis=0) + 1e-3
        scaled = (vectors - self.centre) / self.spread
        gram = scaled @ scaled.T if len(vectors) < vectors.shape[1] else scaled.T @ scaled
        values, axes = np.linalg.eigh(gram)
        solid = values > 1e-9 * max(float(values[-1]), 1e-12)
        values, axes = values[solid], axes[:, solid]
        self.axes = scaled.T @ axes / np.sqrt(values) if len(vectors) < vectors.shape[1] else axes
        variances = values / len(vectors)
        self.floor = max(SHRINKAGE * float(variances.sum()) / vectors.shape[1], 1e-9)
        self.variances = (1 - SHRINKAGE) * variances + self.floor

    def distance(self, vectors: Array) -> Array:
        """Squared Mahalanobis distances (m,) of vectors (m, d), over 0."""
        away = (vectors - self.centre) / self.spread
        along = away @ self.axes
        beside = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        return (along**2 / self.variances).sum(axis=1) + beside / self.floor + 1e-9


def _good(photos: Array, known: Chosen | None) -> Chosen:
    """The photos (n,) that nobody called defective."""
    return np.ones(len(photos), bool) if known is None else ~known


def _outside(inside: Chosen, good: Chosen) -> Chosen:
    """The good ones that are not inside, or all good ones if next to nothing is left."""
    chosen = good & ~inside
    return chosen if chosen.sum() > 1 else good


def _principal(photos: Array) -> Array:
    """The photos (n, min(n, d, DIMENSIONS)) in the principal components of their standard units."""
    scaled = (photos - photos.mean(axis=0)) / (photos.std(axis=0) + 1e-3)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return (left * values)[:, :DIMENSIONS]


def _ranks(scores: Array) -> Array:
    """The share of the scores under each, half of what equals it, itself too."""
    from scipy.stats import rankdata

    return (rankdata(scores) - 0.5) / len(scores)


def _seed(seed: int, use: str, draw: int) -> int:
    return derived_seed("consensus", use, seed, draw)
