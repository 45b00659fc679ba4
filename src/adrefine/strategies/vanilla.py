"""The identity: every comparison needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adrefine.strategies.base import Removal, Strategy, StrategySettings

if TYPE_CHECKING:
    import pandas as pd


class Settings(StrategySettings):
    """Section `vanilla`: nothing to set."""

    KNOWS: ClassVar = "nothing"

    def create(self, images: int) -> Vanilla:
        return Vanilla()


class Vanilla(Strategy):
    """Removes nothing."""

    def step(self, scores: pd.Series, floor: int) -> Removal:
        return Removal(stop="vanilla removes nothing")
