"""Section `anomalib` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, JsonValue

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import PIXELS
from adrefine.sections import AtLeastOne, UnderOne

if TYPE_CHECKING:
    from adrefine.detectors.anomalib.detector import Anomalib

Side = Annotated[int, Field(ge=16, le=4096)]


class Settings(DetectorSettings):
    """Which of anomalib's image models, and what its constructor is told."""

    reads: ClassVar = (PIXELS,)

    model: Annotated[str, Field(min_length=1)] = "Padim"
    args: dict[str, JsonValue] = Field(default={})
    weights: str | None = None
    side: Side | None = None
    epochs: AtLeastOne = 20
    finetune_epochs: AtLeastOne = 2
    batch_size: AtLeastOne = 8
    holdout: UnderOne = 0.15
    seed: int = 0

    @property
    def steps(self) -> int:
        """Epochs of a cold fit."""
        return self.epochs

    @property
    def finetune_steps(self) -> int:
        """Epochs of a warm one."""
        return self.finetune_epochs

    @property
    def own_maps(self) -> bool:
        return True

    @property
    def package(self) -> str:
        return "anomalib"

    def check_needs(self) -> None:
        from adrefine.detectors.anomalib import library

        library.check(self)

    def create(self) -> Anomalib:
        from adrefine.detectors.anomalib.detector import Anomalib

        return Anomalib(self)
