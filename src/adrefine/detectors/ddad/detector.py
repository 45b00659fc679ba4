"""DDAD on small photos, with the features of the bundled patch network (Mousakhan et al. 2023).

A diffusion model learns good photos. It makes a photo anew from a noisy copy, held to the photo by a pull
towards it; what comes out differently, in pixels and in features, is odd. The feature extractor is not
adapted to the product (DDAD sect. 3.3), and the balance of pixels and features is fixed on training
photos: the authors take it from the batch, so that a score depends on its neighbours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from adrefine.detectors.base import Images
from adrefine.detectors.ddad.diffusion import noisy, reconstructed
from adrefine.detectors.ddad.settings import STEPS, Settings
from adrefine.detectors.ddad.unet import UNet
from adrefine.detectors.efficientad.teacher import Teacher, open_teacher
from adrefine.detectors.photos import Photos, Window, open_photos, size_of
from adrefine.detectors.trained import Array, Log, Trained, batches, log_of
from adrefine.paths import PIXELS
from adrefine.places.maps import enlarged
from adrefine.runtime import hardware, progress
from adrefine.runtime.seeds import derived_seed

_BALANCED = 8  # training photos that set the balance of pixels and features
_AUTHORS_SIDE = 256  # of the photos that `smooth` is said of
_TINY = 1e-6


class Ddad(Trained):
    """See the module. `balance`: what a difference in pixels is multiplied by; None: not known yet."""

    title: ClassVar = "ddad"
    kind: ClassVar = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.balance: float | None = None

    def extra(self) -> dict[str, Any]:
        return {"balance": self.balance}

    def take(self, extra: dict[str, Any]) -> None:
        self.balance = extra["balance"]

    def measure(self, images: Images) -> dict[str, int]:
        return {}

    def build(self, shape: dict[str, int]) -> nn.Module:
        s = self.settings
        return UNet(s.channels, s.levels, s.attention, s.side, s.dropout)

    def learn(self, images: Images, steps: int, first: int = 0) -> Log:
        """Mean squared error of the noise (DDPM eq. 14). The authors sum; Adam's steps are the same."""
        s, net = self.settings, self.ready().train()
        photos = self._photos(images)
        optimizer = torch.optim.Adam(net.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay)
        log: Log = []
        queue = batches(images.ids, s.batch_size, steps, "ddad", s.seed, first)
        with progress.bar(total=steps, label="ddad", unit="step", transient=True) as bar:
            for number, names in enumerate(queue, first):
                torch.manual_seed(derived_seed("ddad", s.seed, number))
                loss = self._loss(net, torch.stack([_photo(photos, name) for name in names]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                log.append({"loss": float(loss.detach())})
                bar.update()
        net.eval()
        if self.balance is None:
            self.balance = self._balance(images.only(images.ids[:_BALANCED]))
        return log_of(log)

    def _loss(self, net: nn.Module, photos: torch.Tensor) -> torch.Tensor:
        steps = torch.randint(1, STEPS + 1, (len(photos),))
        noise = torch.randn(photos.shape)
        seen = noisy(photos, steps, noise).to(self.device)
        on_gpu = self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=on_gpu):
            told = net(seen, steps.to(self.device)).float()
        return F.mse_loss(told, noise.to(self.device))

    def values(self, images: Images) -> Array:
        return np.array([row.max() for row in self._rows(images)], dtype=np.float64)

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """How odd each pixel is beside the worst one of a usual photo, at the size of each file; over 0."""
        rows = [np.exp(np.clip(self.in_units(row), -50, 5)) for row in self._rows(images)]
        maps = [enlarged(row, size_of(file)) for row, file in zip(rows, files, strict=True)]
        return np.stack(maps) if maps else np.zeros((0, 1, 1), np.float32)

    def _rows(self, images: Images) -> list[Array]:
        """D = D_f + v D_p (DDAD eq. 9), smoothed, of each photo: (side²,) float64."""
        from scipy.ndimage import gaussian_filter

        assert self.balance is not None
        sigma = self.settings.smooth * self.settings.side / _AUTHORS_SIDE
        totals = (f + self.settings.pixels * self.balance * p for f, p in self._differences(images))
        return [gaussian_filter(total.double().numpy(), sigma).ravel() for total in totals]

    def _balance(self, images: Images) -> float:
        """The largest difference in features over the largest in pixels."""
        largest = [(float(f.max()), float(p.max())) for f, p in self._differences(images)]
        features, pixels = (max(values) for values in zip(*largest, strict=True))
        return features / max(pixels, _TINY)

    @torch.no_grad()
    def _differences(self, images: Images) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """D_f and D_p (side, side) of each photo, alone: 1 − cos of features, mean |x_0 − y| of pixels."""
        s, net = self.settings, self.ready().eval()
        photos, teacher = self._photos(images), open_teacher(images.prepared / PIXELS, s.side, True)
        pairs = []
        with hardware.one_core_each():
            for name in images.ids:
                target = _photo(photos, name)[None].to(self.device)
                generator = torch.Generator().manual_seed(derived_seed("noise of ddad", s.seed))
                made = reconstructed(net, target, s.start, s.stride, s.guidance, generator).clamp(-1, 1)
                pixels = (made - target).abs().mean(dim=1)[0].cpu()
                pairs.append(self._inside(photos, _differ(teacher, made, target)[0].cpu(), pixels))
        return pairs

    def _inside(
        self, photos: Photos, features: torch.Tensor, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Nothing differs outside the region of interest."""
        if photos.region is None:
            return features, pixels
        inside = torch.from_numpy(photos.region.of_shape(pixels.shape))
        return features * inside, pixels * inside

    def _photos(self, images: Images) -> Photos:
        return open_photos(images.prepared / PIXELS, self.settings.side, False, 0.0)


def _photo(photos: Photos, name: str) -> torch.Tensor:
    """(3, side, side) in −1..1."""
    return photos.pixels(Window(photos.path(name))) * 2 - 1


def _differ(teacher: Teacher, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """1 − cos (b, side, side) of features, means over 3 × 3 places, of photos (b, 3, side, side), −1..1."""
    features = [F.avg_pool2d(teacher((photo + 1) / 2), 3, 1, 1) for photo in (one, other)]
    apart = 1 - F.cosine_similarity(features[0], features[1])
    return F.interpolate(apart[:, None], one.shape[2:], mode="bilinear", align_corners=False)[:, 0]
