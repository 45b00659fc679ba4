"""The identity: every comparison needs one."""

from __future__ import annotations

import pandas as pd

from adrefine.strategies.base import Removal, Strategy


class Vanilla(Strategy):
    """Removes nothing."""

    def step(self, scores: pd.Series, floor: int) -> Removal:
        return Removal(stop="vanilla removes nothing")
