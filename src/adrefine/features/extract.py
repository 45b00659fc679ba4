"""Images to feature vectors: every view and scale through the frozen backbone, pooled over space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from adrefine import backbones
from adrefine.backbones import engine
from adrefine.features.views import transform
from adrefine.params import Embed, Runtime

# Forward passes of two images stay in the CPU's cache: twice the throughput of sixteen.
_CHUNK = {"cpu": 2, "cuda": 64}


class Extractor:
    """Turns images into (views, dim) vectors with the backbone, scales and views of `params`.

    The vector of a view is, scale by scale and layer by layer, the spatial mean of each channel, and with
    `pool: mean_std` its standard deviation. (DifferNet takes the mean alone; docs/methods.md 8 measured what
    the deviation adds.)
    """

    def __init__(self, params: Embed, runtime: Runtime | None = None) -> None:
        net = backbones.load(params)
        self.params, self.engine = params, engine.start(net, runtime or Runtime())
        self.device = self.engine.device
        self.pools = 2 if params.pool == "mean_std" else 1
        self.dim = self.pools * sum(net.channels) * len(params.scales)
        self.shape: tuple[int, ...] = (params.views, self.dim)

    @torch.inference_mode()
    def extract(self, images: torch.Tensor) -> np.ndarray:
        """Vectors (b, views, dim) float16 of images (b, 1 or 3, h, w) in 0..1."""
        images = images.to(self.device, non_blocking=True)
        count = self.params.views
        views = [transform(images, view, self.params) for view in range(count)]
        vectors = torch.cat(
            [self.pooled(chunk) for view in views for chunk in view.split(_CHUNK[self.device.type])]
        )
        return vectors.view(count, len(images), self.dim).transpose(0, 1).half().cpu().numpy()

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors (b, dim) of one view (b, 1 or 3, h, w); with torch differentiable in the images.

        They are float32, or float64 where the engine computes in it.
        """
        parts = []
        for scale in self.params.scales:
            for maps in self.engine(resize(images, scale).expand(-1, 3, -1, -1)):
                parts += mean_and_deviation(maps)[: self.pools]
        return torch.cat(parts, dim=1)


_OF_VECTORS = ("backbone", "weights", "scales", "views", "rotate", "light", "pool")


def meta_of(params: Embed) -> dict[str, Any]:
    """What a store of vectors keeps of the settings that made them."""
    return {name: getattr(params, name) for name in _OF_VECTORS}


def of_meta(meta: Mapping[str, Any]) -> Embed:
    """The settings that `meta_of` gave; a store from before there were `pool` and `light` is as `fast`."""
    return Embed.model_validate({name: meta[name] for name in _OF_VECTORS if name in meta})


def resize(images: torch.Tensor, side: int) -> torch.Tensor:
    """Images (b, c, h, w) as (b, c, side, side), antialiased; unchanged where they have that size."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False)


def mean_and_deviation(maps: torch.Tensor) -> list[torch.Tensor]:
    """Mean and standard deviation of each channel, (b, c) each, over the space of maps (b, c, h, w)."""
    variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0)
    return [
        mean,
        (variance + 1e-8).sqrt(),
    ]  # the offset keeps the gradient finite where a channel is constant


def read_image(path: Path) -> torch.Tensor:
    """An ingested PNG as (1 or 3, h, w) float32 in 0..1; grey images keep one channel."""
    with Image.open(path) as image:
        return as_tensor(image)


def as_tensor(image: Image.Image) -> torch.Tensor:
    """A picture as (1 or 3, h, w) float32 in 0..1; grey ones keep one channel."""
    pixels = np.array(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    channels = (
        torch.from_numpy(pixels)[None] if pixels.ndim == 2 else torch.from_numpy(pixels).permute(2, 0, 1)
    )
    return channels.float().div(255).contiguous()
