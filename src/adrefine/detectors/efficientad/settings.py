"""Section `efficientad` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import PIXELS
from adrefine.sections import FROM_PRESET, AtLeastOne, Count, NotNegative, Positive, Share, UnderOne

if TYPE_CHECKING:
    from adrefine.detectors.efficientad.detector import EfficientAD
    from adrefine.detectors.efficientad.instant import Instant
    from adrefine.params import Evaluate


_SHORT: dict[str, Any] = {
    "teacher": "pdn",
    "side": 128,
    "init": "teacher",
    "steps": 200,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "decay": 0.3,
    "augment": 0.5,
    "finetune_steps": 10,
    "ring": True,
    "patches": "twins",
    "normalize": "places",
    "top": 0.0,
}
_FAST = _SHORT | {
    "teacher": "backbone",
    "side": 256,
    "steps": 300,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "finetune_steps": 30,
    "top": 0.02,
}


class Settings(DetectorSettings):
    """A preset with the explicit keys of params.yaml laid over it.

    `paper`: the document's; steps, rate and batch, which it does not name, are the original EfficientAD's.
    `short`: a CPU trains it in minutes; half the size, few steps of a higher rate, low layers that need not
    be learned. `fast` and `instant`: a student of a backbone in closed form (`instant.py`), in `fast` with a
    small network that learns the rest in `steps`; of the other keys only `side`, `top` and those of the steps
    count.
    """

    PRESETS: ClassVar = {
        "fast": _FAST,
        "instant": _FAST | {"steps": 0},
        "short": _SHORT,
        "paper": {
            "teacher": "pdn",
            "side": 256,
            "init": "scratch",
            "steps": 70000,
            "batch_size": 1,
            "learning_rate": 1e-4,
            "decay": 0.05,
            "augment": 1.0,
            "finetune_steps": 7000,
            "ring": False,
            "patches": "noise",
            "normalize": "photo",
            "top": 0.0,
        },
    }
    reads: ClassVar = (PIXELS,)
    CHOOSING: ClassVar = ("preset", "teacher")
    BEFORE: ClassVar = {"normalize": "photo", "top": 0.0}

    preset: Literal["fast", "instant", "short", "paper"] = "fast"
    teacher: Literal["pdn", "backbone"] = FROM_PRESET
    side: Annotated[int, Field(ge=64, le=1024, multiple_of=32)] = FROM_PRESET
    padding: bool = True
    tiles: bool = False
    overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.25
    init: Literal["teacher", "scratch"] = FROM_PRESET
    steps: Count = FROM_PRESET
    batch_size: AtLeastOne = FROM_PRESET
    learning_rate: Positive = FROM_PRESET
    decay: Share = FROM_PRESET
    weight_decay: NotNegative = 1e-5
    augment: Share = FROM_PRESET
    synthetic: Share = 0.4
    patches: Literal["twins", "noise"] = FROM_PRESET
    ring: bool = FROM_PRESET
    p_hard: UnderOne = 0.99
    gamma: NotNegative = 2.0
    coeff_hard: NotNegative = 1.0
    coeff_ood: NotNegative = 0.0
    coeff_ae: NotNegative = 1.0
    coeff_stae: NotNegative = 1.0
    coeff_cdo: NotNegative = 1.0
    normalize: Literal["places", "photo"] = FROM_PRESET
    top: Share = FROM_PRESET
    q_a: Share = 0.9
    q_b: Share = 0.995
    holdout: UnderOne = 0.1
    finetune_steps: AtLeastOne = FROM_PRESET
    alpha: Share = 0.9
    seed: int = 0

    @model_validator(mode="after")
    def _quantiles_rise(self) -> Settings:
        if self.q_a >= self.q_b:
            raise ValueError(
                f"`efficientad.q_a` = {self.q_a:g} must be under `efficientad.q_b` = {self.q_b:g}"
            )
        return self

    @model_validator(mode="after")
    def _networks_learn(self) -> Settings:
        if self.teacher == "pdn" and not self.steps:
            raise ValueError(
                "`efficientad.teacher` = pdn needs `efficientad.steps` of 1 or more: set them, or leave the "
                "key empty with `efficientad.preset` = short or paper"
            )
        return self

    @model_validator(mode="after")
    def _whole_photos(self) -> Settings:
        if self.tiles and self.teacher == "backbone":
            raise ValueError("`efficientad.tiles` = true needs `efficientad.teacher` = pdn")
        return self

    @property
    def learns_twins(self) -> bool:
        return self.teacher == "pdn" and self.patches == "twins"

    @property
    def unread(self) -> dict[str, str]:
        """The closed form reads nothing of a training but its side; with steps, what they need."""
        if self.teacher == "pdn":
            return {}
        of_steps = {"batch_size", "learning_rate", "finetune_steps"}
        counts = {*self.CHOOSING, "side", "seed", "steps", "top"} | (of_steps if self.steps else set())
        closed = self.preset in ("fast", "instant")
        reads = "efficientad.preset to short or paper" if closed else "efficientad.teacher to pdn"
        needs = {key: "efficientad.steps to 1 or more" for key in of_steps - counts}
        return {key: reads for key in type(self).model_fields if key not in counts} | needs

    @property
    def backbone(self) -> str | None:
        return "efficientnet_lite0" if self.teacher == "backbone" else None

    def create(self) -> EfficientAD | Instant:
        if self.teacher == "backbone":
            from adrefine.detectors.efficientad.instant import Instant

            return Instant(self)
        from adrefine.detectors.efficientad.detector import EfficientAD

        return EfficientAD(self)

    def headline(self, evaluate: Evaluate) -> dict[str, Any]:
        if self.teacher == "backbone":
            return super().headline(evaluate)
        of_both = {"α of the rounds": self.alpha, "α of the maps": evaluate.alpha}
        return super().headline(evaluate) | of_both

    def remarks(self, evaluate: Evaluate) -> list[str]:
        if self.alpha == evaluate.alpha or self.teacher == "backbone":
            return []
        return [f"The rounds were scored with α = {self.alpha:g}, everything else with {evaluate.alpha:g}."]
