"""Detectors by name."""

from __future__ import annotations

from adrefine.detectors.base import Detector, Images, Scores
from adrefine.params import Params

__all__ = ["Detector", "Images", "Scores", "create"]


def create(params: Params) -> Detector:
    """An untrained detector as `params.detector` and its section say."""
    from adrefine.detectors.differnet import DifferNet

    registry = {"differnet": lambda: DifferNet(params.differnet)}
    return registry[params.detector]()
