"""Iterative Refinement Process (IRP, Aqeel et al. 2025)."""

from __future__ import annotations

import pandas as pd

from adrefine.params import Irp
from adrefine.strategies.base import Removal, Strategy, over


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
