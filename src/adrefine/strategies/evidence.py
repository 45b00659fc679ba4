"""Label-free evidence that a training photo is defective, from small models that did not see the photo.

Every kind takes `photos` (n, d), the vectors of the training photos, and `twins` (n, d), those of the same
photos with a synthetic defect, and returns scores of both, (n,) and (n,), higher is more anomalous. How a
photo compares with the twins is what calibrates a score without a label.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adrefine.seeds import derived_seed

Array = npt.NDArray[np.float64]
Scores = tuple[Array, Array]  # of the photos, of their twins
Kind = Callable[[Array, Array, int], Scores]

FOLDS = 5
SHRINKAGE = 0.3  # share of the mean variance in every direction of the Gaussian
WIDTHS = (0.3, 1.0)  # of the kernel, times the number of dimensions in standard units
FAMILY = 4  # photos in a family, on average
DIMENSIONS = 64  # principal components in which families are sought
DRAWS = 2  # divisions into families

# Of `hidden_share`, chosen on seeds that no report uses: benchmarks/refinement/, sections 8 to 10.
LIMITS = ((0.4, 1.0), (0.5, 0.5))  # share of the twins that look better, what of the next applies to it
CLEAN = 0.012  # share of clean photos over the limit where they are told from twins with an AUROC of TOLD
TOLD, RISE = 0.905, 0.7  # ... and by how much it rises with every point less
HARDLY, STEEP = 0.83, 1.5  # ... and how much more with every point under HARDLY
SEEN, BLUR = 0.95, 1.0  # ... and with every point of the pairs under SEEN that are not told apart
FOUND = 0.1  # share of hidden defects over the limit
CLEAR, MORE = 0.98, 5.0  # ... and by how much it rises with every point of pairs over CLEAR that are
BETTER = 0.1  # as many photos stay at least as look better than this share of the twins
MOST = 0.5
MANY = 0.25  # hidden share under which an estimate counts in proportion to itself
FEW = 0.1  # ... and up to which the model knows more than the density; from MANY on it does not


def consensus(
    photos: Array, twins: Array, learned: Array, seed: int, share: float | None = None
) -> tuple[Array, float]:
    """Weighted mean rank (n,) of the photos in the kinds of evidence below, and the share of hidden defects.

    Each rank is the share of photos that look better, over 0 and under 1. The kinds err differently: what
    looks foreign need not look defective, and the other way round. Where few defects hide, the model that is
    being refined ranks them best, although it has learned them; where many do, it is guessing.

    Args:
        learned: the model's scores (n,) of the photos.
        share: the share of hidden defects if it is known; None: `hidden_share`.
    """
    looks, foreign = discriminator(photos, twins, seed), density(photos, twins, seed)
    share = hidden_share(*looks) if share is None else share
    few = float(np.clip((MANY - share) / (MANY - FEW), 0, 1))
    ranks = [_ranks(scores, scores) for scores in (looks[0], foreign[0], learned)]
    return np.average(ranks, axis=0, weights=[1.0, 1 - few, 2 * few]), share


def hidden_share(photos: Array, twins: Array) -> float:
    """Share of hidden defects among the photos, 0 to `MOST`, estimated from scores of the discriminator.

    Few clean photos look worse than 40 % of the twins, the fewer the better photos are told from twins. What
    is more than that is laid to hidden defects, of which about one in ten looks so bad. The same with half
    the figures holds for 50 % of the twins; the smaller estimate counts, and where it is under `MANY`, in
    proportion to itself: where few hide, a share too high costs more good photos than it finds defects.

    How often a photo looks better than its own twin says what the vectors can see, whatever hides: defective
    photos pass the test, too. Where it fails often, clean photos look like twins; where it never fails,
    defects look as bad as twins.

    Args:
        photos, twins: scores (n,) and (n,) of the same photos, see `discriminator`.
    """
    told = float(_ranks(photos, twins).mean())  # the AUROC
    pairs = float(((twins > photos) + 0.5 * (twins == photos)).mean())
    mistaken = CLEAN + RISE * max(TOLD - told, 0.0) + STEEP * max(HARDLY - told, 0.0)
    mistaken += BLUR * max(SEEN - pairs, 0.0)
    found = FOUND + MORE * max(pairs - CLEAR, 0.0)
    estimates = []
    for better, part in LIMITS:
        clean = min(part * mistaken, 1.0)
        estimates.append((_over(photos, twins, better) - clean) / (part * found))
    share = float(np.clip(min(estimates), 0, min(_over(photos, twins, BETTER), MOST)))
    return share * min(share / MANY, 1.0)


def discriminator(photos: Array, twins: Array, seed: int) -> Scores:
    """How much a photo looks like one with a synthetic defect, to classifiers trained on the other folds.

    A support-vector machine with a Gaussian kernel: it also bounds where photos are. Hidden defects among the
    photos cost it less than they cost a density (METHODS 8, third lesson; benchmarks/refinement/).
    """
    from sklearn.svm import SVC

    total = (np.zeros(len(photos)), np.zeros(len(photos)))
    for draw, width in enumerate(WIDTHS):
        folds = np.random.default_rng(_seed(seed, "folds", draw)).permutation(np.arange(len(photos)) % FOLDS)
        for fold in np.unique(folds):
            out = folds == fold
            rows = np.concatenate([photos[~out], twins[~out]])
            centre, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-3
            model = SVC(C=1.0, gamma=width / photos.shape[1])
            model.fit((rows - centre) / spread, np.repeat([0, 1], int((~out).sum())))
            for scores, vectors in zip(total, (photos, twins), strict=True):
                scores[out] += model.decision_function((vectors[out] - centre) / spread)
    return total


def density(photos: Array, twins: Array, seed: int) -> Scores:
    """How far a photo is from a Gaussian of all photos outside its family.

    A family is a cluster of photos that resemble each other. Defects of one kind vouch for each other, also
    across random folds, so the whole family is left out.
    """
    from sklearn.cluster import KMeans

    families = max(2, len(photos) // FAMILY)
    points, total = _principal(photos), (np.zeros(len(photos)), np.zeros(len(photos)))
    for draw in range(DRAWS):
        cluster = KMeans(families, n_init=1, random_state=_seed(seed, "families", draw) % 2**32)
        family_of = cluster.fit_predict(points)
        for family in np.unique(family_of):
            inside = family_of == family
            model = Gaussian(photos[~inside] if (~inside).sum() > 1 else photos)
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


def _principal(photos: Array) -> Array:
    """The photos (n, min(n, d, DIMENSIONS)) in the principal components of their standard units."""
    scaled = (photos - photos.mean(axis=0)) / (photos.std(axis=0) + 1e-3)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return (left * values)[:, :DIMENSIONS]


def _ranks(reference: Array, scores: Array) -> Array:
    """The share of `reference` under each score; half of what equals it."""
    order = np.sort(reference)
    below, upto = np.searchsorted(order, scores), np.searchsorted(order, scores, side="right")
    return (below + upto) / (2 * len(order))


def _over(photos: Array, twins: Array, better: float) -> float:
    """Share of the photos that look worse than the share `better` of the twins."""
    return float((photos > np.quantile(twins, better)).mean())


def _seed(seed: int, use: str, draw: int) -> int:
    return derived_seed("consensus", use, seed, draw)
