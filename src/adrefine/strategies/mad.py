"""Median absolute deviation with an annealed limit, as used by recent work on contaminated training sets."""

from __future__ import annotations

import pandas as pd

from adrefine.params import Mad
from adrefine.strategies.base import Removal, Strategy, over


class AnnealedDeviation(Strategy):
    """Drop every image over median + k · MAD, retrain, repeat with a smaller k until `mad.end`.

    MAD is the median of |score − median|, so that half of the images may be wrong before the limit moves.
    """

    def __init__(self, params: Mad) -> None:
        self.params, self.k = params, params.start

    def step(self, scores: pd.Series, floor: int) -> Removal:
        median = float(scores.median())
        deviation = float((scores - median).abs().median())
        while True:
            threshold = median + self.k * deviation
            ids, last = over(scores, threshold), self.k <= self.params.end
            self.k = max(self.params.end, self.k * self.params.decay)
            if ids:
                return Removal(ids, threshold)
            if last:
                return Removal(threshold=threshold, stop="converged: no score over the last threshold")
