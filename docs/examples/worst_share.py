"""A strategy: drop the worst share of the photos, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.sections import Share
from adrefine.strategies.base import Removal, Strategy, StrategySettings, over

if TYPE_CHECKING:
    import pandas as pd


class Settings(StrategySettings):
    """Section `worst_share` of params.yaml."""

    share: Share = 0.1

    def create(self, images: int) -> WorstShare:
        return WorstShare(self)


class WorstShare(Strategy):
    """Drop what scores over the quantile that leaves `share` of the photos above it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def step(self, scores: pd.Series, floor: int) -> Removal:
        threshold = float(scores.quantile(1 - self.settings.share))
        return Removal(over(scores, threshold), threshold, stop="one shot: the worst share is out")
