"""Frozen backbones by name."""

from __future__ import annotations

from pathlib import Path

from adrefine.backbones.base import Backbone
from adrefine.params import Embed

__all__ = ["Backbone", "load"]


def load(params: Embed) -> Backbone:
    """The frozen backbone that `params.backbone` names.

    Raises:
        UserError: its weights are neither packaged nor at `params.weights` nor downloadable.
    """
    from adrefine.backbones.lite import VERSIONS, Lite

    if params.backbone in VERSIONS:
        return Lite(VERSIONS[params.backbone]).freeze()
    from adrefine.backbones.vision import Vision

    return Vision(params.backbone, Path(params.weights) if params.weights else None).freeze()
