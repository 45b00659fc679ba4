"""What a strategy is: it sees scores of the images still kept, and names those to remove. Never a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adrefine.sections import Section

if TYPE_CHECKING:  # a section of params.yaml is read without the strategy's imports
    import pandas as pd

    from adrefine.detectors.base import Detector, Images
    from adrefine.params import Refine
    from adrefine.places.evidence import Evidence
    from adrefine.review import Verdicts
    from adrefine.strategies.learning import Training
    from adrefine.strategies.scorers import Scorer


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


class StrategySettings(Section):
    """A strategy's section of params.yaml, registered by its name: the rule, and what it wants beside it.

    Attributes:
        FEWEST: training images that it needs. TWINS: whether it needs photos with a synthetic defect.
        SCORER: whether `refine.scorer` gives it its scores.
        REFINE: by `refine.preset`, values of section `refine` that are this strategy's own in that preset.
        KNOWS: what `refine.contamination` may say beside auto: `nothing`, a `share` (that many of the highest
            scores go, instead of the rule's own), or a share or `bounds` of it.
    """

    FEWEST: ClassVar[int] = 1
    TWINS: ClassVar[bool] = False
    SCORER: ClassVar[bool] = True
    KNOWS: ClassVar[Literal["nothing", "share", "bounds"]] = "share"
    REFINE: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @abstractmethod
    def create(self, images: int) -> Strategy:
        """The rule, for a training set of `images` images."""

    def training(self, refine: Refine) -> Training:
        """How models learn during the refinement: as their detector does."""
        from adrefine.strategies.learning import Training

        return Training(refine.refit, refine.final_fit == "warm")

    def scorer(
        self,
        refine: Refine,
        model: Detector,
        images: Images,
        verdicts: Verdicts,
        training: Training,
        evidence: Evidence | None = None,
    ) -> Scorer:
        """What gives the rule its scores: the policy that `refine.scorer` names.

        Args:
            model: the initial model. images: all training images.
            verdicts: a human's; what they removed is out before the first scoring.
            training: how the scorer's models learn.
            evidence: what the voters say of each training photo; None: there are no maps of them.
        """
        from adrefine.strategies import engine, scorers

        left = engine.start(images, verdicts)
        return scorers.create(refine, model, left.ids, training, images.parts)


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


class WorstShare(Strategy):
    """Remove once a known share of the photos, those with the highest scores."""

    def __init__(self, share: float, images: int) -> None:
        self.share, self.images = share, images

    def step(self, scores: pd.Series, floor: int) -> Removal:
        removed = self.images - len(scores)  # what a human removed is not scored
        count = min(max(round(self.share * self.images) - removed, 0), len(scores))
        ordered = scores.sort_values(ascending=False, kind="stable")
        around = ordered.iloc[max(count - 1, 0) : count + 1]
        stop = f"one shot: refine.contamination = {self.share:g} of {self.images} photos"
        return Removal(tuple(ordered.index[:count]), float(around.mean()) if count else float("nan"), stop)
