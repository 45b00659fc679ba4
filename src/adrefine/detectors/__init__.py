"""Detectors by name."""

from __future__ import annotations

from adrefine.detectors.base import Detector, Images, Scores
from adrefine.params import Params

__all__ = ["Detector", "Images", "Scores", "create"]


def create(params: Params) -> Detector:
    """An untrained detector as `params.detector` and its section say."""
    if params.detector == "efficientad":
        from adrefine.detectors.efficientad import EfficientAD

        return EfficientAD(params.efficientad)
    from adrefine.detectors.differnet import DifferNet

    return DifferNet(params.differnet)
