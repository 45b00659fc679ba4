"""Iterative Refinement Process (IRP, Aqeel et al. 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from adrefine.sections import Positive
from adrefine.strategies.base import Removal, Strategy, StrategySettings, over

if TYPE_CHECKING:
    import pandas as pd


class Irp(StrategySettings):
    """Section `irp` of params.yaml, which explains each key."""

    lambda_: Positive = Field(1.5, alias="lambda")
    remove: Literal["max", "all"] = "max"

    def create(self, images: int) -> IterativeRefinement:
        return IterativeRefinement(self)


class IterativeRefinement(Strategy):
    """Drop what is over λ × median (eq. 5), retrain, repeat until nothing is.

    `remove: max` drops only the arg-max of a round (Algorithm 1), `all` whatever is over (eq. 6).
    """

    def __init__(self, params: Irp) -> None:
        self.params = params

    def step(self, scores: pd.Series, floor: int) -> Removal:
        threshold = self.params.lambda_ * float(scores.median())
        ids = over(scores, threshold)
        if not ids:
            return Removal(threshold=threshold, stop="converged: no score over the threshold")
        return Removal(ids if self.params.remove == "all" else ids[:1], threshold)
