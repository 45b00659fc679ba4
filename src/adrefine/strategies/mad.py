"""Median absolute deviation with an annealed limit, as used by recent work on contaminated training sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from adrefine.sections import Positive
from adrefine.strategies.base import Removal, Strategy, StrategySettings, over

if TYPE_CHECKING:
    import pandas as pd


class Mad(StrategySettings):
    """Section `mad` of params.yaml, which explains each key."""

    start: Positive = 8.0
    end: Positive = 5.0
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9

    @model_validator(mode="after")
    def _anneals_downwards(self) -> Mad:
        if self.start < self.end:
            raise ValueError(f"`mad.start` = {self.start:g} must not be under `mad.end` = {self.end:g}")
        return self

    def create(self, images: int) -> AnnealedDeviation:
        return AnnealedDeviation(self)


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
