"""torchvision's AlexNet and ResNets, from a local weights file or downloaded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch

from adrefine.backbones.base import Backbone, read_weights
from adrefine.errors import UserError

# Layers read and their channels. AlexNet: the last convolution (DifferNet); ResNets: stages 2, 3 (PatchCore).
LAYERS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "alexnet": (("features",), (256,)),
    "resnet18": (("layer2", "layer3"), (128, 256)),
    "wide_resnet50_2": (("layer2", "layer3"), (512, 1024)),
    "wide_resnet101_2": (("layer2", "layer3"), (512, 1024)),
}
_STEM = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")


class Vision(Backbone):
    """Maps of the LAYERS of a torchvision network; errors name its section of params.yaml, `section`.

    Raises:
        UserError: no weights file is given and the download fails, or the file is of another network.
    """

    def __init__(self, name: str, weights: Path | None, section: str = "embed") -> None:
        super().__init__()
        self.layers, self.channels = LAYERS[name]
        net = network(name, weights, section)
        steps = ("features",) if name == "alexnet" else _STEM
        self.steps = torch.nn.ModuleDict({step: getattr(net, step) for step in steps})
        if name != "alexnet":
            self.deep, self.early = (2, 3), (1, 2, 3)
            first = self.channels[0] // 2  # each stage has twice the channels of the one before
            self.widths = {f"layer{stage}": first * 2 ** (stage - 1) for stage in self.early}

    def choose(self, blocks: tuple[int, ...]) -> None:
        """See `Backbone.choose`; a ResNet's blocks are its stages 1 to 3."""
        if not self.deep:
            return super().choose(blocks)
        if not set(blocks) <= set(self.early):
            raise UserError(
                f"embed.places.blocks = {list(blocks)}: the blocks of a ResNet are its stages 1, 2 and 3"
            )
        self.layers = tuple(f"layer{stage}" for stage in sorted(blocks))
        self.channels = tuple(self.widths[layer] for layer in self.layers)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for name, step in self.steps.items():
            images = step(images)
            if name in self.layers:
                maps.append(images)
        return maps


def network(name: str, weights: Path | None, section: str) -> Any:
    from torchvision.models import get_model

    if weights is None:
        try:
            return get_model(name, weights="DEFAULT")
        except (URLError, OSError) as error:
            raise UserError(
                f"{section}: the weights of {name} are not on this machine and could not be downloaded "
                f"({error}). Set {section}.weights to a local file, or choose efficientnet_lite0, which "
                "needs no download"
            ) from None
    net = get_model(name, weights=None)
    try:
        net.load_state_dict(read_weights(weights, f"{section}.weights"))
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise UserError(f"{section}.weights: {weights} does not fit {name}: {first}") from None
    return net
