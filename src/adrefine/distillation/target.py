"""What a PDN learns to imitate: features of a frozen backbone as PatchCore makes them, normalized.

Source: EAD sect. 4.3, the function Ψ: two layers, 3 x 3 patches of each, pooled to 384 channels, 64² at 512².
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from adrefine.backbones import engine
from adrefine.backbones.base import Backbone
from adrefine.backbones.lite import Lite
from adrefine.backbones.pdn import CHANNELS
from adrefine.backbones.vision import Vision
from adrefine.params import Runtime

LITE0_LAYERS = (4, 10)  # 40 channels at 1/8 and 112 at 1/16: the strides of a ResNet's layer2 and layer3
_POOLED = 1024  # channels a layer before the last pooling (PatchCore's pretrain_embed_dimension)
_SMALLEST = 1e-4  # deviation of a channel that never changes


class Target(nn.Module):
    """Images (b, 3, s, s) in 0..1 to normalized features (b, 384, s / 8, s / 8) float32. Frozen.

    Attributes:
        mean, std: (384,) normalization of the features (Algorithm 1, lines 5-11 and 22); 0 and 1 at first.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: Backbone, runtime: Runtime | None = None) -> None:
        super().__init__()
        share = CHANNELS // len(backbone.channels)
        self.kernels = nn.ParameterList(pooling_kernel(count, share) for count in backbone.channels)
        self.to(memory_format=torch.channels_last)
        self.engine = engine.start(backbone, runtime or Runtime())
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("std", torch.ones(CHANNELS))
        self.requires_grad_(False).eval()

    def normalize_by(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Set the normalization."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=_SMALLEST))

    @torch.no_grad()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Features (b, 384, s / 8, s / 8) float32 before normalization."""
        maps = self.engine(images)
        parts = [F.conv2d(one, kernel, padding=1) for one, kernel in zip(maps, self.kernels, strict=True)]
        size = parts[0].shape[-2:]
        return torch.cat([parts[0]] + [F.interpolate(part, size, mode="bilinear") for part in parts[1:]], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (self.features(images) - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)


def pooling_kernel(channels: int, outputs: int) -> torch.Tensor:
    """PatchCore's pooling of a layer as one fixed convolution, kernel (outputs, channels, 3, 3).

    PatchCore flattens the 3 x 3 patch of every position to channels * 9 values and pools these, adaptively,
    to 1024, then those of all layers to 384. Each step is a mean over neighbours, so all are one matrix.
    """
    values = torch.eye(channels * 9, dtype=torch.float64)[:, None]  # what every single value contributes
    pooled = F.adaptive_avg_pool1d(F.adaptive_avg_pool1d(values, _POOLED), outputs)
    return pooled[:, 0].T.reshape(outputs, channels, 3, 3).float()


def load_backbone(name: str, weights: str | None) -> Backbone:
    """The frozen backbone `name` with the two layers that a PDN imitates.

    Raises:
        UserError: its weights are neither packaged nor at `weights` nor downloadable.
    """
    if name == "efficientnet_lite0":
        return Lite(0, LITE0_LAYERS).freeze()
    return Vision(name, Path(weights) if weights else None, "pretrain_pdn").freeze()
