"""Frozen backbones by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adrefine.registry import Registry, hint, imported

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
# What `<library>/<network>` names, called in the same way.
LIBRARIES = {
    "timm": "adrefine.backbones.timm_nets:Timm",
    "torchvision": "adrefine.backbones.torchvision_nets:Torchvision",
    "transformers": "adrefine.backbones.transformers_nets:Transformers",
}
BESIDE = {"transformers": ("config.json", "preprocessor_config.json")}  # read beside a file of weights


def known(name: str) -> str:
    """`name`, if it may be a backbone's; of those of a library only the library is known before it is loaded.

    Raises:
        ValueError: it is no backbone's.
    """
    library, slash, network = name.partition("/")
    if name in BACKBONES.names() or (slash and network and library in LIBRARIES):
        return name
    names = [*BACKBONES.names(), *(f"{library}/<network>" for library in LIBRARIES)]
    raise ValueError(hint(name, names))


def of_library(name: str) -> bool:
    """Whether `name` is `<library>/<network>`."""
    return name.partition("/")[0] in LIBRARIES and name not in BACKBONES.names()


def files(name: str, weights: str | None) -> list[Path]:
    """Files of the user's that decide what the backbone computes: weights, and what is read beside them."""
    if not weights:
        return []
    beside = map(Path(weights).with_name, BESIDE.get(name.partition("/")[0], ()))
    there = [file for file in beside if file.is_file()]
    return [Path(weights), *there]


def load(params: Embed) -> Backbone:
    """The frozen backbone that `params.backbone` names.

    Raises:
        UserError: its weights are neither packaged nor at `params.weights` nor downloadable.
    """
    make = _maker(params.backbone)
    made: Backbone = make(params.backbone, Path(params.weights) if params.weights else None)
    return made.freeze()


def _maker(name: str) -> Any:
    if not of_library(name):
        return BACKBONES.get(name)
    return imported(LIBRARIES[name.partition("/")[0]])
