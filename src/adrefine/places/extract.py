"""Images to maps of places and one pooled vector, in one pass of the frozen backbone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from adrefine import backbones
from adrefine.backbones import engine
from adrefine.features.extract import mean_and_deviation, resize
from adrefine.params import Embed, EmbedPlaces, Runtime
from adrefine.runtime.seeds import derived_seed

_CHUNK = {"cpu": 2, "cuda": 64}  # images that go through at once: as `features.extract`


class PlacesExtractor:
    """Maps (places, channels) and pooled vector (dim,) of an image, of two or more blocks of the backbone.

    Each block's map is averaged to `grid` x `grid` places, the rows of the photo one after the other, and its
    channels are mixed down to `components` by a fixed random orthonormal matrix; PaDiM chooses channels at
    random instead (arXiv 2011.08785, sect. III.C). The pooled vector is the mean and deviation of each full
    channel, block by block.

    Args:
        inside: numbers of the places that a region of interest leaves; the others are 0. None: all.

    Attributes:
        maps: shape of the maps. pooled: length of the vector. shape: that of both together.
    """

    def __init__(
        self, params: Embed, runtime: Runtime | None = None, inside: list[int] | None = None
    ) -> None:
        self.settings = params.places
        net = backbones.load(params)
        blocks = self.settings.blocks
        if chosen := getattr(net, blocks) if isinstance(blocks, str) else tuple(blocks):
            net.choose(chosen)
        self.engine = engine.start(net, runtime or Runtime())
        self.device = self.engine.device
        self.reduction = reduction(net.channels, self.settings).to(self.device)
        self.maps = (self.settings.grid**2, self.reduction.shape[1])
        self.outside = np.ones(self.maps[0] if inside is not None else 0, bool)
        self.outside[inside or []] = False
        self.pooled = 2 * sum(net.channels)
        self.shape: tuple[int, ...] = (self.maps[0] * self.maps[1] + self.pooled,)

    @torch.inference_mode()
    def extract(self, images: torch.Tensor) -> np.ndarray:
        """Rows (b, places · channels + dim) float16 of images (b, 1 or 3, h, w) in 0..1; see `split`."""
        images = images.to(self.device, non_blocking=True)
        parts = [self._chunk(chunk) for chunk in images.split(_CHUNK[self.device.type])]
        return torch.cat(parts).half().cpu().numpy()

    def split(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The maps (places, channels) and the pooled vector (dim,) of one row of `extract`."""
        maps, pooled = np.split(row, [self.maps[0] * self.maps[1]])
        maps = maps.reshape(self.maps)
        if self.outside.any():
            maps = np.where(self.outside[:, None], np.float16(0), maps)
        return maps, pooled

    def _chunk(self, images: torch.Tensor) -> torch.Tensor:
        grid = self.settings.grid
        outputs = self.engine(resize(images, self.settings.side).expand(-1, 3, -1, -1))
        pooled = [part for maps in outputs for part in mean_and_deviation(maps)]
        places = torch.cat([F.adaptive_avg_pool2d(maps, grid) for maps in outputs], dim=1)
        reduced = places.flatten(2).transpose(1, 2) @ self.reduction
        return torch.cat([reduced.flatten(1), *pooled], dim=1)


def reduction(channels: tuple[int, ...], settings: EmbedPlaces) -> torch.Tensor:
    """Matrix (sum of `channels`, kept) float32 that makes fewer channels of those of the blocks side by side.

    `projection`: of each block `settings.components` orthonormal mixtures (all channels of a smaller one);
    `choice`: as many channels of all blocks together, drawn at random.
    """
    draw = np.random.default_rng(derived_seed("places", settings.seed))
    total = sum(channels)
    if settings.reduce == "choice":
        chosen = np.sort(draw.permutation(total)[: settings.components])
        return torch.eye(total)[:, torch.from_numpy(chosen)]
    mixtures = []
    for count in channels:
        axes, upper = np.linalg.qr(draw.standard_normal((count, min(count, settings.components))))
        mixtures.append(torch.from_numpy(axes * np.sign(np.diag(upper))).float())
    return torch.block_diag(*mixtures)
