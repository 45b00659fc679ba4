"""Frozen backbones by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adrefine.registry import Registry

if TYPE_CHECKING:
    from adrefine.backbones.base import Backbone
    from adrefine.params import Embed

# Called with the name in params.yaml and the weights file or None; see docs/extending.md.
BACKBONES = Registry(
    "embed.backbone",
    "adrefine.backbones",
    {
        "efficientnet_lite1": "adrefine.backbones.lite:packaged",
        "efficientnet_lite0": "adrefine.backbones.lite:packaged",
        "alexnet": "adrefine.backbones.vision:Vision",
        "resnet18": "adrefine.backbones.vision:Vision",
        "wide_resnet50_2": "adrefine.backbones.vision:Vision",
        "wide_resnet101_2": "adrefine.backbones.vision:Vision",
    },
)


def load(params: Embed) -> Backbone:
    """The frozen backbone that `params.backbone` names.

    Raises:
        UserError: its weights are neither packaged nor at `params.weights` nor downloadable.
    """
    make = BACKBONES.get(params.backbone)
    made: Backbone = make(params.backbone, Path(params.weights) if params.weights else None)
    return made.freeze()
