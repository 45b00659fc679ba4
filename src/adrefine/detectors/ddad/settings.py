"""Section `ddad` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import PIXELS
from adrefine.sections import FROM_PRESET, AtLeastOne, NotNegative, Positive, UnderOne

if TYPE_CHECKING:
    from adrefine.detectors.ddad.detector import Ddad

Level = Annotated[int, Field(ge=1, le=8)]
STEPS = 1000  # of the diffusion (DDPM)


class Settings(DetectorSettings):
    """A preset with the explicit keys of params.yaml laid over it.

    `paper`: the size of DDAD's authors, for a GPU and many hours; 3,000 epochs of 200 photos by 32 are 18,750
    steps. `fast`: a small network on small photos, which shows how it works. Of neither a figure was made.
    """

    PRESETS: ClassVar = {
        "fast": {
            "side": 64,
            "channels": 16,
            "levels": [1, 2, 2],
            "attention": [],
            "dropout": 0.0,
            "steps": 300,
            "finetune_steps": 30,
            "batch_size": 8,
        },
        "paper": {
            "side": 256,
            "channels": 64,
            "levels": [1, 1, 2, 2, 4, 4],
            "attention": [32, 16, 8],
            "dropout": 0.0,
            "steps": 18750,
            "finetune_steps": 1875,
            "batch_size": 32,
        },
    }
    reads: ClassVar = (PIXELS,)

    preset: Literal["fast", "paper"] = "fast"
    side: Annotated[int, Field(ge=32, le=512, multiple_of=32)] = FROM_PRESET
    channels: Annotated[int, Field(ge=8, multiple_of=8)] = FROM_PRESET
    levels: Annotated[list[Level], Field(min_length=1, max_length=6)] = FROM_PRESET
    attention: list[AtLeastOne] = FROM_PRESET
    dropout: UnderOne = FROM_PRESET
    steps: AtLeastOne = FROM_PRESET
    finetune_steps: AtLeastOne = FROM_PRESET
    batch_size: AtLeastOne = FROM_PRESET
    learning_rate: Positive = 3e-4
    weight_decay: NotNegative = 0.05
    start: Annotated[int, Field(ge=1, lt=STEPS)] = 250
    stride: AtLeastOne = 25
    guidance: NotNegative = 3.0
    pixels: NotNegative = 1.0
    smooth: NotNegative = 4.0
    holdout: UnderOne = 0.15
    seed: int = 0

    @model_validator(mode="after")
    def _halves_fit(self) -> Settings:
        halved = 2 ** (len(self.levels) - 1)
        if self.side % halved:
            raise ValueError(
                f"`ddad.side` = {self.side} must be a multiple of {halved}, for `ddad.levels` halves it "
                f"{len(self.levels) - 1} times"
            )
        return self

    @property
    def own_maps(self) -> bool:
        return True

    def create(self) -> Ddad:
        from adrefine.detectors.ddad.detector import Ddad

        return Ddad(self)
