"""What a person's answers tell of the photos that nobody has looked at. No label but those answers comes in.

The chance that a photo is defective rises with how far it stands out: σ(steepness · (strength − middle)).
Which steepness and middle fit is weighed by the answers, a person's slips included. It does not matter which
photos were asked for, as long as the ranking and earlier answers alone decided that (ignorable choice, Rubin
1976). Constants: `python -m benchmarks.review`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adrefine.places.out_of_fold import Array, Flags

SLIP = 0.03  # chance that an answer is wrong
STEEPNESS = np.geomspace(0.3, 4.0, 9)  # per robust deviation
USUAL, SPREAD = (
    0.9,
    0.7,
)  # of the steepness over products, as they are before any answer: median, log deviation
SHARE = 0.1  # expected share of defective photos before any answer: an exponential distribution
MIDDLES = np.linspace(-0.5, 12.0, 36)  # strength at which every second photo is defective
FARTHEST = 12.0  # strengths over it count as it: such photos tell nothing of the others
INSIDE = 0.9  # chance that the interval is to hold what hides


@dataclass(frozen=True)
class Hidden:
    """How many photos hide among those without an answer: expected, and bounds of the interval."""

    expected: float
    low: int
    high: int


class Belief:
    """Chances (n,) that photos are defective, and what hides among those without an answer.

    Args:
        strength: (n,) robust deviations, see `Evidence.strength`.
        defect, good: (n,) photos answered so. A photo of neither was not looked at, or nobody was sure.
        apart: (n,) photos that may be a rare but good variant: they stand out for a reason of their own, so
            their answers tell nothing of the others, nor the others' of theirs; None: none.
    """

    def __init__(self, strength: Array, defect: Flags, good: Flags, apart: Flags | None = None) -> None:
        self.strength = np.minimum(strength, FARTHEST)
        self.defect, self.good = defect, good
        self.telling = (defect | good) & ~(np.zeros(len(strength), bool) if apart is None else apart)
        steepness, middles = np.meshgrid(STEEPNESS, MIDDLES, indexing="ij")
        self.steepness, self.middles = steepness.ravel(), middles.ravel()
        x = self.steepness[:, None] * (self.strength - self.middles[:, None])
        self.curves = 1 / (1 + np.exp(-np.clip(x, -60, 60)))  # (k, n) chances under each of k curves
        prior = -0.5 * (np.log(self.steepness / USUAL) / SPREAD) ** 2 - self.curves.mean(axis=1) / SHARE
        told = [
            self._told(self.curves[:, defect & self.telling]),
            self._told(1 - self.curves[:, good & self.telling]),
        ]
        self.log_weight = prior + np.concatenate(told, axis=1).sum(axis=1)
        self.weight = _weights(self.log_weight)
        self.open = ~(defect | good)
        self.fitted = self.weight @ self.curves

    def hidden(self) -> Hidden:
        """What hides among the photos without an answer: a mixture of Poisson distributions."""
        return _counted(self.weight, self.curves[:, self.open])

    def slips(self) -> Array:
        """Chance (n,) that a photo's answer is wrong; 0 without one that others can speak against."""
        slips, chance = np.zeros(len(self.strength)), self.fitted
        right = np.where(self.defect, chance, 1 - chance)
        wrong = SLIP * (1 - right)
        slips[self.telling] = (wrong / (wrong + (1 - SLIP) * right))[self.telling]
        return slips

    def after(self, count: int) -> Hidden:
        """What is expected to hide when the `count` most suspicious of the other photos are answered, too."""
        order = np.argsort(-self.strength, kind="stable")
        asked = np.zeros(len(order), bool)
        asked[order[self.open[order]][:count]] = True
        curves, chance = self.curves[:, asked], self.fitted[asked]
        told = self._told(curves) @ chance + self._told(1 - curves) @ (1 - chance)
        return _counted(_weights(self.log_weight + told), self.curves[:, self.open & ~asked])

    @staticmethod
    def _told(right: Array) -> Array:
        """Log-likelihoods of answers that are right with these chances; a person slips."""
        return np.asarray(np.log(SLIP + (1 - 2 * SLIP) * right))


def _weights(logarithms: Array) -> Array:
    weights = np.exp(logarithms - logarithms.max())
    return np.asarray(weights / weights.sum())


def _counted(weights: Array, curves: Array) -> Hidden:
    """How many of m photos are defective, of chances (k, m) under curves that weigh (k,)."""
    means = curves.sum(axis=1)
    low, high = (_quantile(weights, means, q, curves.shape[1]) for q in ((1 - INSIDE) / 2, (1 + INSIDE) / 2))
    return Hidden(float(weights @ means), low, high)


def _quantile(weights: Array, means: Array, level: float, most: int) -> int:
    """Smallest count, at most `most`, that the mixture of Poisson distributions does not exceed with chance
    `level`."""
    from scipy.special import pdtr

    under, over = -1, most
    while over - under > 1:
        middle = (under + over) // 2
        if weights @ pdtr(middle, means) >= level:
            over = middle
        else:
            under = middle
    return over
