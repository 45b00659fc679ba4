"""Detectors by name: one file and one line here each, see docs/extending.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adrefine.detectors.base import Detector, DetectorSettings, Images, Scores
from adrefine.registry import Registry

if TYPE_CHECKING:
    from adrefine.params import Params

__all__ = ["DETECTORS", "Detector", "DetectorSettings", "Images", "Scores", "create"]

DETECTORS = Registry(
    "detector",
    "adrefine.detectors",
    {
        "padim": "adrefine.detectors.padim.settings:Settings",
        "differnet": "adrefine.detectors.differnet.settings:Settings",
        "mixed": "adrefine.detectors.mixed.settings:Settings",
        "glass": "adrefine.detectors.glass.settings:Settings",
        "uflow": "adrefine.detectors.uflow.settings:Settings",
        "ddad": "adrefine.detectors.ddad.settings:Settings",
        "efficientad": "adrefine.detectors.efficientad.settings:Settings",
        "anomalib": "adrefine.detectors.anomalib.settings:Settings",
    },
)


def create(params: Params) -> Detector:
    """An untrained detector as `params.detector` and its section say."""
    return params.chosen_detector.create()
