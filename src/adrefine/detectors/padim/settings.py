"""Section `padim` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from adrefine.detectors.base import DetectorSettings
from adrefine.paths import PLACES
from adrefine.sections import FROM_PRESET, NotNegative, Share

if TYPE_CHECKING:
    from adrefine.detectors.padim.detector import Padim


class Settings(DetectorSettings):
    """A preset with the explicit keys of params.yaml laid over it.

    `paper`: PaDiM as published: Σ + 0.01 I and the largest place; its maps are `embed.places.preset: paper`.
    `fast`: a covariance shrunk for about 100 photos, the mean of the worst places, and the pooled vector.
    """

    PRESETS: ClassVar = {
        "fast": {"shrinkage": 0.1, "ridge": 0.0, "standardize": True, "top": 0.05, "pooled": True},
        "paper": {"shrinkage": 0.0, "ridge": 0.01, "standardize": False, "top": 0.0, "pooled": False},
    }
    reads: ClassVar = (PLACES,)
    WEIGHS: ClassVar = True

    preset: Literal["fast", "paper"] = "fast"
    shrinkage: NotNegative = FROM_PRESET
    ridge: NotNegative = FROM_PRESET
    standardize: bool = FROM_PRESET
    top: Share = FROM_PRESET
    pooled: bool = FROM_PRESET
    seed: int = 0

    @property
    def own_maps(self) -> bool:
        """Its own are maps of places."""
        return True

    def create(self) -> Padim:
        from adrefine.detectors.padim.detector import Padim

        return Padim(self)
