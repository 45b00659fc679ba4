"""One-Shot Removal (OSR, Aqeel et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from adrefine.sections import Positive, PositiveShare
from adrefine.strategies.base import Removal, Strategy, StrategySettings, over

if TYPE_CHECKING:
    import pandas as pd


class Osr(StrategySettings):
    """Section `osr` of params.yaml, which explains each key."""

    REFINE: ClassVar = {"paper": {"refit": 1.0}}  # it fine-tunes what it has, also in Algorithm 1

    mode: Literal["threshold", "until_size"] = "threshold"
    lambda_: Positive = Field(1.5, alias="lambda")
    keep: PositiveShare = 0.8

    def create(self, images: int) -> Strategy:
        return OneShotRemoval(self) if self.mode == "threshold" else RemovalUntilSize(self, images)


class OneShotRemoval(Strategy):
    """Drop every image over λ × median once, then fine-tune (OSR sect. 4.3)."""

    def __init__(self, params: Osr) -> None:
        self.factor = params.lambda_

    def step(self, scores: pd.Series, floor: int) -> Removal:
        threshold = self.factor * float(scores.median())
        ids = over(scores, threshold)
        stop = (
            "one shot: removed once, as the method says" if ids else "converged: no score over the threshold"
        )
        return Removal(ids, threshold, stop)


class RemovalUntilSize(Strategy):
    """While |D| > T: score, drop the arg-max, update the model (OSR Algorithm 1, read literally)."""

    bounded_by_rounds = False

    def __init__(self, params: Osr, images: int) -> None:
        self.size = max(1, round(params.keep * images))

    def step(self, scores: pd.Series, floor: int) -> Removal:
        if len(scores) <= self.size:
            return Removal(stop=f"target size of {self.size} images reached")
        worst = str(scores.idxmax())
        last = len(scores) - 1 <= self.size
        return Removal((worst,), stop=f"target size of {self.size} images reached" if last else None)
