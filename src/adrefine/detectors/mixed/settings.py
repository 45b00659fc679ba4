"""Section `mixed` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from adrefine.detectors.base import Detector, DetectorSettings
from adrefine.paths import PIXELS, PLACES
from adrefine.sections import FROM_PRESET, AtLeastOne, NotNegative, Positive, PositiveShare, Share, UnderOne

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.params import Evaluate


_HEAD = ("components", "penalty", "density")  # of the linear head
_OF_BOTH = ("preset", "fraction", "groups", "inject", "synthetic", "recycle", "trust", "seed")
Degrees = Annotated[float, Field(ge=0, le=180)]
Lean = Annotated[float, Field(ge=0, le=60)]


class Settings(DetectorSettings):
    """A preset with the explicit keys of params.yaml laid over it.

    `fast`: a linear head beside the Gaussians of padim, in closed form. `paper`: ISP-AD's ResNet18 on
    patches; its batch is not named there, 32 follows from its other numbers.
    """

    PRESETS: ClassVar = {
        "fast": {"inject": 0.125, "synthetic": 0.1},
        "paper": {"inject": 1 / 32, "synthetic": 0.5},
    }

    preset: Literal["fast", "paper"] = "fast"
    fraction: Share = 1.0
    groups: tuple[str, ...] = ()
    inject: UnderOne = FROM_PRESET
    synthetic: UnderOne = FROM_PRESET
    recycle: Literal["none", "confirmed", "removed"] = "confirmed"
    trust: PositiveShare = 0.5
    components: AtLeastOne = 48
    penalty: Positive = 0.03
    density: NotNegative = 1.0
    weights: str | None = None
    patch: Annotated[int, Field(ge=64, le=1024, multiple_of=32)] = 256
    stride: AtLeastOne = 160
    smooth: NotNegative = 1.0
    brightness: Positive = 1.0
    rotation: Degrees = 45.0
    scale: tuple[Positive, Positive] = (0.9, 1.1)
    shear: Lean = 10.0
    flip: bool = True
    light: UnderOne = 0.25
    affine: Share = 0.9
    batch_size: AtLeastOne = 32
    epoch_steps: AtLeastOne = 6250
    epochs: AtLeastOne = 200
    patience: AtLeastOne = 20
    finetune_epochs: AtLeastOne = 1
    learning_rate: Positive = 5e-5
    weight_decay: NotNegative = 1e-2
    momentum: UnderOne = 0.9
    restart: AtLeastOne = 7813
    holdout: UnderOne = 0.15
    seed: int = 0

    @property
    def reads(self) -> tuple[str, ...]:
        return (PIXELS,) if self.preset == "paper" else (PLACES,)

    @property
    def unread(self) -> dict[str, str]:
        if self.preset == "paper":
            return dict.fromkeys(_HEAD, "mixed.preset to fast")
        network = (key for key in type(self).model_fields if key not in (*_HEAD, *_OF_BOTH))
        return dict.fromkeys(network, "mixed.preset to paper")

    @property
    def steps(self) -> int:
        """At most, of a training of preset `paper`."""
        return self.epochs * self.epoch_steps

    @property
    def finetune_steps(self) -> int:
        """Of a warm-started one."""
        return self.finetune_epochs * self.epoch_steps

    @property
    def own_maps(self) -> bool:
        """Its own are those of padim, or with `paper` of the network."""
        return True

    def create(self) -> Detector:
        if self.preset == "paper":
            from adrefine.detectors.mixed.patches import MixedPatches

            return MixedPatches(self)
        from adrefine.detectors.mixed.head import MixedHead

        return MixedHead(self)

    def known(self, table: pd.DataFrame) -> tuple[str, ...]:
        """See `DetectorSettings.known`: a nested share of the real defects of the groups asked for."""
        from adrefine.detectors.mixed.known import chosen

        return chosen(table, self.fraction, self.groups, self.seed)

    def supervision(self, table: pd.DataFrame) -> dict[str, int]:
        from adrefine.detectors.mixed.known import available

        return {"available": len(available(table)), "used": len(self.known(table))}

    @property
    def confirmed_teach(self) -> bool:
        return self.recycle != "none"

    @property
    def removed_teach(self) -> float:
        return self.trust if self.recycle == "removed" else 0.0

    def headline(self, evaluate: Evaluate) -> dict[str, Any]:
        """Which real defects it learns from."""
        return super().headline(evaluate) | {
            "share of real defects": self.fraction,
            "types of real defects": ", ".join(self.groups) or "all",
            "recycled": self.recycle,
        }
