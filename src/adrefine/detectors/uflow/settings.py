"""Section `uflow` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import PLACES
from adrefine.sections import AtLeastOne, NotNegative, Positive, UnderOne

if TYPE_CHECKING:
    from adrefine.detectors.uflow.detector import UFlow


class Settings(DetectorSettings):
    """Ours, for small maps; params.yaml names the published values."""

    reads: ClassVar = (PLACES,)

    blocks: AtLeastOne = 4
    clamp: Positive = 2.0
    steps: AtLeastOne = 400
    finetune_steps: AtLeastOne = 40
    batch_size: AtLeastOne = 16
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-5
    holdout: UnderOne = 0.15
    seed: int = 0

    @property
    def own_maps(self) -> bool:
        return True

    def create(self) -> UFlow:
        from adrefine.detectors.uflow.detector import UFlow

        return UFlow(self)
