"""Patch description networks PDN-S and PDN-M, with bundled weights of the small one.

Source: EAD (EfficientAD with CDO, Khanjani 2025), tables 5.2 and 5.3. Every output vector describes a patch
of 33 x 33 pixels and nothing else. With the tables' paddings an image of 256² gives 64² vectors (as in
distillation), without them 56²; the weights are the same. The small network has 2,694,144 parameters, the
medium one 8,026,624. (EAD table 5.7 says 1,096,320 and 11,615,488: those are the autoencoder and the medium
student.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from adrefine.backbones.base import Backbone
from adrefine.backbones.conv import Conv2d
from adrefine.errors import UserError
from adrefine.io import atomic_open

CHANNELS = 384
RECEPTIVE_FIELD = 33  # pixels a side
BUNDLED = Path(__file__).with_name("pdn_small.pt")


def _layers(size: str, channels: int, pad: int) -> list[tuple[str, nn.Module]]:
    """Named layers of EAD table 5.2 (small) or 5.3 (medium); `pad` 1: with the table's paddings, 0: none."""
    small = size == "small"
    wide = 1 if small else 2
    head = [
        ("conv1", Conv2d(3, 128 * wide, 4, padding=3 * pad)),
        ("relu1", nn.ReLU(inplace=True)),
        ("pool1", nn.AvgPool2d(2, 2, padding=pad)),
        ("conv2", Conv2d(128 * wide, 256 * wide, 4, padding=3 * pad)),
        ("relu2", nn.ReLU(inplace=True)),
        ("pool2", nn.AvgPool2d(2, 2, padding=pad)),
    ]
    if small:
        tail = [
            ("conv3", Conv2d(256, 256, 3, padding=pad)),
            ("relu3", nn.ReLU(inplace=True)),
            ("conv4", nn.Conv2d(256, channels, 4)),
        ]
    else:
        tail = [
            ("conv3", nn.Conv2d(512, 512, 1)),
            ("relu3", nn.ReLU(inplace=True)),
            ("conv4", Conv2d(512, 512, 3, padding=pad)),
            ("relu4", nn.ReLU(inplace=True)),
            ("conv5", nn.Conv2d(512, channels, 4)),
            ("relu5", nn.ReLU(inplace=True)),
            ("conv6", nn.Conv2d(channels, channels, 1)),
        ]
    return [*head, *tail]


class Pdn(nn.Module):
    """Images (b, 3, h, w) in 0..1 to patch descriptions (b, channels, h', w').

    Args:
        size: `small` (PDN-S) or `medium` (PDN-M).
        channels: 384 of a teacher, 768 of a student (EAD tables 5.2, 5.3).
        padding: True: h' = h / 4 for h a multiple of 4, 64 at 256; False: 56 at 256.
    """

    def __init__(self, size: str = "small", channels: int = CHANNELS, padding: bool = True) -> None:
        super().__init__()
        for name, layer in _layers(size, channels, int(padding)):
            self.add_module(name, layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.new_tensor(Backbone.mean).view(1, 3, 1, 1)  # ImageNet's, as the document says
        std = images.new_tensor(Backbone.std).view(1, 3, 1, 1)
        x = (images - mean) / std
        for layer in self.children():
            x = layer(x)
        return x


@dataclass(frozen=True)
class Weights:
    """A distilled PDN: its state dict, and the channel-wise mean and deviation (384,) that normalized the
    features of the backbone it imitates."""

    state: dict[str, torch.Tensor]
    mean: torch.Tensor
    std: torch.Tensor

    def network(self, padding: bool = True) -> Pdn:
        """The network, with either padding."""
        net = Pdn("medium" if "conv6.weight" in self.state else "small", padding=padding)
        net.load_state_dict(self.state)
        return net

    def save(self, path: Path) -> None:
        """Write atomically, the network in float16; the same tensors give the same bytes."""
        state = {name: value.detach().cpu().contiguous().half() for name, value in self.state.items()}
        content = {"network": state, "mean": self.mean.cpu().float(), "std": self.std.cpu().float()}
        with atomic_open(path) as file:
            torch.save(content, file)


def read(path: Path = BUNDLED) -> Weights:
    """Weights that `Weights.save` wrote, in float32; by default the bundled PDN-S, distilled from
    EfficientNet-Lite0.

    Raises:
        UserError: the file is missing or not such a file.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: run `dvc repro pretrain_pdn`")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: value.float() for name, value in content["network"].items()}
        return Weights(state, content["mean"], content["std"])
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} holds no weights of a PDN: {reason}") from None
