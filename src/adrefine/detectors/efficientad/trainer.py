"""The training loop: student and autoencoder together, on the sum of the losses (EAD eq. 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import nn

from adrefine.backbones.pdn import CHANNELS
from adrefine.detectors.efficientad import losses
from adrefine.detectors.efficientad.networks import REACH, STRIDE, student
from adrefine.detectors.efficientad.networks import Autoencoder as Net
from adrefine.detectors.efficientad.sampling import Item, draw
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.teacher import Standardized
from adrefine.detectors.photos import Photos
from adrefine.detectors.trained import batches, log_of
from adrefine.runtime import hardware, progress
from adrefine.runtime.gradients import accumulate
from adrefine.runtime.threads import in_order, workers

PARTS = ("hard", "ood", "ae", "stae", "cdo")
_CHUNK = {"cpu": 1, "cuda": 4096}  # images whose activations are in memory, and in a CPU's cache, at once


class Networks(nn.Module):
    """What is trained."""

    def __init__(self, size: str, settings: Settings) -> None:
        super().__init__()
        self.student = student(size, settings.padding)
        self.autoencoder = Net(settings.side, settings.padding)


class Trainer:
    """Trains `networks` on windows of `photos`; losses of an image are of that image alone."""

    def __init__(self, networks: Networks, teacher: Standardized, photos: Photos, settings: Settings) -> None:
        self.networks, self.teacher, self.photos, self.settings = networks, teacher, photos, settings
        self.device, self.dtype = teacher.device, teacher.dtype
        self.weights = list(networks.parameters())

    def run(self, ids: tuple[str, ...], steps: int, first: int = 0) -> list[dict[str, float]]:
        """Do `steps` steps of Adam, numbered from `first`; over 0 they go on at the low rate of the end.

        Returns:
            The training log: mean losses of equal stretches of the steps.
        """
        s = self.settings
        optimizer = torch.optim.Adam(self.weights, lr=s.learning_rate, weight_decay=s.weight_decay)
        log: list[dict[str, float]] = []
        jobs = enumerate(batches(ids, s.batch_size, steps, s.seed), start=first)
        bar = progress.bar(total=steps, label="efficientad", unit="step", transient=True)
        with bar, workers() as pool, ThreadPoolExecutor(hardware.cores()) as readers:
            for items in in_order(readers, self._items, jobs, hardware.cores() + 1):
                slow = first > 0 or len(log) >= steps - round(s.decay * steps)
                for group in optimizer.param_groups:
                    group["lr"] = s.learning_rate * (0.1 if slow else 1.0)
                log.append(self._learn(items, optimizer, pool))
                bar.update()
        return log_of(log)

    def _items(self, job: tuple[int, Sequence[str]]) -> list[Item]:
        step, ids = job
        return [draw(image_id, step, self.photos, self.settings) for image_id in ids]

    def _learn(
        self, items: list[Item], optimizer: torch.optim.Optimizer, pool: ThreadPoolExecutor
    ) -> dict[str, float]:
        """One step."""

        def loss(chunk: list[Item]) -> tuple[torch.Tensor, dict[str, float]]:
            parts = self.losses(chunk)
            share = len(chunk) / len(items)
            told = {name: share * float(value.detach()) for name, value in parts.items()}
            return share * self._total(parts), told

        most = _CHUNK[self.device.type]
        chunks = [items[start : start + most] for start in range(0, len(items), most)]
        told = accumulate(self.weights, chunks, loss, pool)
        optimizer.step()
        return {name: sum(parts[name] for parts in told) for name in PARTS}

    def _total(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum of the losses (eq. 5.1, and L_OOD)."""
        return torch.stack([getattr(self.settings, f"coeff_{name}") * parts[name] for name in PARTS]).sum()

    def losses(self, items: list[Item]) -> dict[str, torch.Tensor]:
        """Each loss of a chunk of inputs, not yet weighted."""
        s = self.settings
        pixels = self._to_device(torch.stack([item.pixels for item in items]))
        masks = self._to_device(torch.stack([item.mask for item in items]))
        wanted = self._wanted(items, pixels)
        mask = mask_of_features(masks, s.padding)
        ring = ring_of_features(masks, s.padding) & ~mask & s.ring
        out = mask | ring
        with self._autocast():
            x = pixels.contiguous(memory_format=torch.channels_last)
            copied = self.networks.student(x).float()
            rebuilt = self.networks.autoencoder(x, self._rng(items)).float()
        imitated, predicted = copied[:, :CHANNELS], copied[:, CHANNELS:]
        return {
            "hard": losses.hard_feature(wanted, imitated, out, s.p_hard),
            "ood": self._ood(items, wanted),
            "ae": losses.squared_error(wanted, rebuilt, out),
            "stae": losses.squared_error(rebuilt, predicted, out),
            "cdo": losses.collaborative_discrepancy(wanted, imitated, mask, s.gamma, ring),
        }

    def _wanted(self, items: list[Item], pixels: torch.Tensor) -> torch.Tensor:
        """The teacher's output; known where the pixels are unchanged."""
        if any(item.window is None for item in items):
            return self.teacher(pixels)
        windows = [item.window for item in items if item.window]
        return torch.stack([self.teacher.of_window(self.photos, window) for window in windows])

    def _ood(self, items: list[Item], like: torch.Tensor) -> torch.Tensor:
        generic = [item.generic for item in items if item.generic is not None]
        if not generic:
            return like.new_zeros(())
        images = self._to_device(torch.stack(generic))
        with self._autocast():
            out = self.networks.student(images.contiguous(memory_format=torch.channels_last)).float()
        return losses.out_of_distribution(out[:, :CHANNELS])

    def _rng(self, items: list[Item]) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(items[0].seed)

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.pin_memory() if self.device.type == "cuda" else tensor
        return tensor.to(self.device, non_blocking=True)

    def _autocast(self) -> torch.autocast:
        """Half precision where it is fast; without the cache, which threads would share."""
        half = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=half, cache_enabled=False)


def mask_of_features(masks: torch.Tensor, padding: bool) -> torch.Tensor:
    """Masks (b, side, side) at the positions of a PDN's map (b, h', w'): True if any of 4 x 4 pixels is."""
    pooled = F.max_pool2d(masks[:, None].float(), STRIDE)[:, 0] > 0
    return pooled if padding else pooled[:, 4:-4, 4:-4]


def ring_of_features(masks: torch.Tensor, padding: bool) -> torch.Tensor:
    """Positions of a PDN's map that see, 33 x 33 pixels each, a pixel of the masks (b, side, side)."""
    seen = F.max_pool2d(masks[:, None].float(), 2 * REACH + 1, STRIDE, padding=REACH)[:, 0] > 0
    return seen if padding else seen[:, 4:-4, 4:-4]
