"""Preset `paper`: a ResNet18 tells defective patches from good ones (ISP sect. 3.2, 4.1, 4.2)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from adrefine.backbones.vision import network
from adrefine.detectors.base import Images
from adrefine.detectors.mixed.augment import smoothed
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.mixed.stream import Defect, Stream
from adrefine.detectors.photos import Photos, decoded, open_photos
from adrefine.detectors.trained import Array, Log, Trained
from adrefine.paths import PIXELS
from adrefine.runtime import hardware, progress
from adrefine.runtime.seeds import drawn

_CHANNELS = 512  # of the last stage of a ResNet18
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet
_STEPS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class PatchNet(nn.Module):
    """ResNet18 with one output. The mean over the positions and the linear layer change places without any
    difference, so the map of logits is exact: its mean is the logit of the patch."""

    def __init__(self, resnet: Any, sigma: float, brightness: float) -> None:
        super().__init__()
        self.body = nn.Sequential(*(getattr(resnet, name) for name in _STEPS))
        self.last = nn.Linear(_CHANNELS, 1)
        self.sigma, self.brightness = sigma, brightness

    def positions(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits (b, h, w) of the positions of patches (b, 3, p, p) in 0..1."""
        seen = smoothed((patches * self.brightness).clamp(max=1), self.sigma)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1).to(seen) for values in (_MEAN, _STD))
        maps = self.body((seen - mean) / std)
        return F.conv2d(maps, self.last.weight[..., None, None], self.last.bias)[:, 0]

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Logits (b,): over 0 is more likely defective than good."""
        return self.positions(patches).mean(dim=(1, 2))


class MixedPatches(Trained):
    """SGD on the stream of patches; the value of a photo is the largest logit of its windows.

    The document has no photos, patches alone: windows and their maximum are ours. It stops by its test set;
    here held-out photos and defects tell when the loss has been lowest.
    """

    title: ClassVar = "mixed (paper)"
    kind: ClassVar = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.defects: dict[str, Defect] = {}

    def know(self, defects: Images, weight: float = 1.0) -> None:
        for name in defects.ids:
            before, mask = self.defects.get(name, Defect(0.0)), defects.masks.get(name)
            centre = centre_of(mask) if mask else before.centre
            self.defects[name] = Defect(max(weight, before.weight), centre)

    def extra(self) -> dict[str, Any]:
        return {name: (d.weight, d.centre) for name, d in sorted(self.defects.items())}

    def take(self, extra: dict[str, Any]) -> None:
        self.defects = {name: Defect(weight, centre) for name, (weight, centre) in extra.items()}

    def measure(self, images: Images) -> dict[str, int]:
        return {}

    def build(self, shape: dict[str, int]) -> nn.Module:
        from torchvision.models import get_model

        return PatchNet(get_model("resnet18", weights=None), self.settings.smooth, self.settings.brightness)

    def settle(self, images: Images) -> None:
        """The weights that all start from, ImageNet's."""
        s = self.settings
        start = network("resnet18", Path(s.weights) if s.weights else None, "mixed")
        self.ready().body.load_state_dict(
            nn.Sequential(*(getattr(start, name) for name in _STEPS)).state_dict()
        )

    def watch(self, learned: Images, held: Images) -> None:
        """Epochs until the loss on `held` and on held-out real defects has not fallen for `patience`."""
        s = self.settings
        aside = {name for name in self.defects if drawn(s.holdout, "holdout", s.seed, name)}
        if len(aside) == len(self.defects):
            aside = set()
        watched = self._stream(held, {name: self.defects[name] for name in aside}, "validation")
        count = ceil(2 * len(held) / s.batch_size)  # as many good patches as photos, and as many synthetic
        known = {name: defect for name, defect in self.defects.items() if name not in aside}
        losses: list[float] = []
        best: dict[str, torch.Tensor] = {}

        def stop(epoch: int) -> bool:
            losses.append(self._loss(watched, count))
            if losses[-1] == min(losses):
                best.update(copy.deepcopy(self.ready().state_dict()))
            return epoch - int(np.argmin(losses)) >= s.patience

        self._train(self._stream(learned, known), self.steps, 0, stop)
        self.ready().load_state_dict(best)
        self.steps = min(self.steps, s.epoch_steps * (int(np.argmin(losses)) + 1))

    def learn(self, images: Images, steps: int, first: int = 0) -> Log:
        return self._train(self._stream(images, self.defects), steps, first)

    @torch.no_grad()
    def values(self, images: Images) -> Array:
        photos = self._photos(images)
        return np.array([self._positions(photos, name)[0].max() for name in images.ids], dtype=np.float64)

    @torch.no_grad()
    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Logits over the usual photo's, in its units, at least 0; where windows overlap their mean."""
        photos, maps = self._photos(images), []
        for name in images.ids:
            whole = self._whole(photos, name)
            _, tops, grids = self._positions(photos, name)
            total, count = np.zeros(whole.shape[1:]), np.zeros(whole.shape[1:])
            side = _side(whole, self.settings.patch)
            large = F.interpolate(grids[:, None], (side, side), mode="bilinear", align_corners=False)[:, 0]
            for (top, left), logits in zip(tops, large.numpy(), strict=True):
                window = (slice(top, top + side), slice(left, left + side))
                total[window] += logits
                count[window] += 1
            maps.append(self.in_units(total / count).clip(min=0))
        return np.stack(maps).astype(np.float32) if maps else np.zeros((0, 1, 1), np.float32)

    def _positions(self, photos: Photos, name: str) -> tuple[np.ndarray, list[tuple[int, int]], torch.Tensor]:
        """Logits (k,) of the windows of a photo, their places, and the logits (k, h, w) of positions; one
        window after the other, on one core: a photo alone gets the same to the bit."""
        whole, net = self._whole(photos, name).to(self.device), self.ready().eval()
        side = _side(whole, self.settings.patch)
        places = windows(whole.shape[1], whole.shape[2], side, self.settings.stride)
        with hardware.one_core_each():
            grids = torch.cat(
                [net.positions(whole[None, :, y : y + side, x : x + side]).float().cpu() for y, x in places]
            )
        return grids.mean(dim=(1, 2)).double().numpy(), places, grids

    def _train(
        self, stream: Stream, steps: int, first: int, stop: Callable[[int], bool] | None = None
    ) -> Log:
        """SGD whose rate starts anew after `restart` steps, then after twice as many, and so on."""
        s, net = self.settings, self.ready()
        optimizer = torch.optim.SGD(
            net.parameters(), lr=s.learning_rate, momentum=s.momentum, weight_decay=s.weight_decay
        )
        rate = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=s.restart, T_mult=2)
        log: Log = []
        with progress.bar(total=steps, label="mixed", unit="step", transient=True) as bar:
            for start in range(0, steps, s.epoch_steps):
                numbers = range(first + start, first + min(start + s.epoch_steps, steps))
                net.train()
                losses = []
                for patches, defective in stream.batches(numbers, s.batch_size):
                    loss = self._bce(patches, defective)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    rate.step()
                    losses.append(float(loss.detach()))
                    bar.update()
                net.eval()
                log.append({"epoch": float(len(log)), "loss": float(np.mean(losses))})
                if stop is not None and stop(len(log) - 1):
                    break
        return log

    @torch.no_grad()
    def _loss(self, stream: Stream, count: int) -> float:
        """Mean loss of the first `count` batches."""
        batches = stream.batches(range(count), self.settings.batch_size)
        return float(np.mean([float(self._bce(*batch)) for batch in batches]))

    def _bce(self, patches: torch.Tensor, defective: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy of logits, mean; in half precision on a GPU, as the document's."""
        on_gpu = self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=on_gpu):
            logits = self.ready()(patches.to(self.device)).float()
        return F.binary_cross_entropy_with_logits(logits, defective.to(self.device))

    def _stream(self, images: Images, known: dict[str, Defect], name: str = "train") -> Stream:
        photos = self._photos(images)
        real = {key: defect for key, defect in sorted(known.items()) if key not in set(images.ids)}
        return Stream(lambda key: self._whole(photos, key), images.ids, real, self.settings, name)

    def _photos(self, images: Images) -> Photos:
        return open_photos(images.prepared / PIXELS, self.settings.patch, False, 0.0)

    def _whole(self, photos: Photos, name: str) -> torch.Tensor:
        """(3, h, w) float32 in 0..1 of a photo at its working size."""
        path = photos.path(name)
        photo = photos.kept.get((path, "RGB"), lambda: decoded(path, "RGB", None, Image.Resampling.BILINEAR))
        return photo.expand(3, -1, -1).float().div(255)


def windows(height: int, width: int, side: int, stride: int) -> list[tuple[int, int]]:
    """(top, left) of windows of `side` pixels every `stride` ones, the last ones flush with the border."""
    tops, lefts = ([*range(0, length - side, stride), length - side] for length in (height, width))
    return [(top, left) for top in tops for left in lefts]


def centre_of(mask: str) -> tuple[float, float] | None:
    """The middle of what a mask marks, as shares of height and width; None if it marks nothing."""
    with Image.open(mask) as image:
        rows, columns = np.nonzero(np.asarray(image.convert("L")))
        height, width = image.height, image.width
    if not len(rows):
        return None
    middle = [(float(ends.min()) + float(ends.max()) + 1) / 2 for ends in (rows, columns)]
    return middle[0] / height, middle[1] / width


def _side(photo: torch.Tensor, patch: int) -> int:
    """Pixels of a window: those of a patch, or of a photo that is smaller."""
    return min(patch, *photo.shape[1:])
