"""Section `glass` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import PLACES
from adrefine.sections import AtLeastOne, Count, NotNegative, Positive, UnderOne

if TYPE_CHECKING:
    from adrefine.detectors.glass.detector import Glass


class Settings(DetectorSettings):
    """Ours, for small maps; params.yaml names the published values."""

    reads: ClassVar = (PLACES,)
    learns_twins: ClassVar = True

    hidden: AtLeastOne = 256
    steps: AtLeastOne = 400
    finetune_steps: AtLeastOne = 40
    batch_size: AtLeastOne = 8
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-5
    noise: Positive = 0.1
    ascent: Count = 5
    stride: Positive = 0.1
    radius: Positive = 1.0
    gamma: NotNegative = 2.0
    hardest: UnderOne = 0.5
    changed: Positive = 0.25
    holdout: UnderOne = 0.15
    seed: int = 0

    @property
    def own_maps(self) -> bool:
        return True

    def create(self) -> Glass:
        from adrefine.detectors.glass.detector import Glass

        return Glass(self)
