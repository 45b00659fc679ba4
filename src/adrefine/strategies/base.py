"""What a strategy is: it sees scores of the images still kept, and names those to remove. Never a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd


@dataclass(frozen=True)
class Removal:
    """A strategy's decision in one round.

    Attributes:
        ids: those of the scored images that are to be out, in any order. Every other scored image stays, or
            comes back if it was out.
        threshold: the score over which an image was to go, one for all or a series by image_id; NaN if the
            rule has none.
        stop: why this is the strategy's last round; None: score again after retraining.
    """

    ids: tuple[str, ...] = ()
    threshold: float | pd.Series = float("nan")
    stop: str | None = None


class Strategy(ABC):
    """Decides which training images stay."""

    # False for a rule with an end of its own, which refine.max_rounds must not cut short.
    bounded_by_rounds: ClassVar[bool] = True

    @abstractmethod
    def step(self, scores: pd.Series, floor: int) -> Removal:
        """One round.

        Args:
            scores: positive score of each image still kept (or of all, if the scorer scores removed images
                again), indexed by image_id; higher is more anomalous.
            floor: the fewest images that must stay; the engine enforces it.
        """


def over(scores: pd.Series, threshold: float) -> tuple[str, ...]:
    """Ids of the images whose score is over the threshold, worst first."""
    return tuple(scores[scores > threshold].sort_values(ascending=False, kind="stable").index)
