"""Section `mixed` of params.yaml, which explains each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adrefine.detectors.base import Detector, DetectorSettings
from adrefine.paths import PLACES
from adrefine.sections import AtLeastOne, NotNegative, Positive, PositiveShare, Share, UnderOne

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.params import Evaluate


class Settings(DetectorSettings):
    """A linear head beside the Gaussians of padim, in closed form."""

    reads: ClassVar = (PLACES,)

    fraction: Share = 1.0
    groups: tuple[str, ...] = ()
    inject: UnderOne = 0.125
    synthetic: UnderOne = 0.1
    recycle: Literal["none", "confirmed", "removed"] = "confirmed"
    trust: PositiveShare = 0.5
    components: AtLeastOne = 48
    penalty: Positive = 0.03
    density: NotNegative = 1.0
    seed: int = 0

    @property
    def own_maps(self) -> bool:
        """Its own are those of padim."""
        return True

    def create(self) -> Detector:
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
        return {
            "share of real defects": self.fraction,
            "types of real defects": ", ".join(self.groups) or "all",
            "recycled": self.recycle,
        }
