"""A backbone without weights: differences of neighbouring pixels in four directions, at two sizes."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F

from adrefine.backbones.base import Backbone


class Edges(Backbone):
    """One map of four channels of the image, and one of the image at half its size."""

    channels = (4, 4)

    def __init__(self, name: str, weights: Path | None) -> None:
        super().__init__()
        steps = torch.tensor([[0, 1], [1, 0], [1, 1], [1, -1]])
        kernels = torch.zeros(4, 1, 3, 3)
        kernels[:, 0, 1, 1] = -1
        for kernel, (down, right) in zip(kernels, steps.tolist(), strict=True):
            kernel[0, 1 + down, 1 + right] = 1
        self.register_buffer("kernels", kernels)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        grey = images.mean(dim=1, keepdim=True)
        return [F.conv2d(grey, self.kernels).abs(), F.conv2d(F.avg_pool2d(grey, 2), self.kernels).abs()]
