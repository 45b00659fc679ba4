"""The stream of patches of preset `paper`: good, synthetic and real ones (ISP sect. 3.2, 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adrefine.defects.random_walk import RandomWalk
from adrefine.detectors.mixed import augment
from adrefine.detectors.mixed.augment import Point
from adrefine.runtime.seeds import derived_seed

GOOD, SYNTHETIC, REAL = "good", "synthetic", "real"
_DRAWER = RandomWalk(length=0.15, weakest=0.03, placement="uniform")  # small, weak, anywhere (ISP figure 3)


@dataclass(frozen=True)
class Defect:
    """A real one: its weight among them, and where it is, as shares of height and width; None: unknown."""

    weight: float = 1.0
    centre: Point | None = None


@dataclass(frozen=True)
class Stream:
    """Patches by step and slot; what one is follows from these and the seed alone.

    Half of the patches are good, half get a synthetic defect; a real defect takes the place of either with
    probability `inject`. A photo that leaves changes only the patches that it gave.

    Attributes:
        photo: (3, h, w) float32 in 0..1 of an id.
        good: ids of photos believed to be good, at least one. real: defects by id.
        settings: section `mixed`. name: another one has other patches.
    """

    photo: Callable[[str], torch.Tensor]
    good: Sequence[str]
    real: Mapping[str, Defect]
    settings: Any
    name: str = "train"

    def batch(self, step: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (size, 3, p, p) in 0..1 and which of them are defective (size,) float32."""
        items = [self.item(step, slot) for slot in range(size)]
        patches = torch.stack([pixels for _, pixels in items])
        return patches, torch.tensor([float(kind != GOOD) for kind, _ in items])

    def batches(self, steps: Sequence[int], size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The batches of these steps."""
        return (self.batch(step, size) for step in steps)

    def item(self, step: int, slot: int) -> tuple[str, torch.Tensor]:
        """Kind and pixels (3, p, p) of one patch."""
        kind = self.kind(step, slot)
        chosen = self.chosen(kind, step, slot)
        rng = np.random.default_rng(derived_seed("patch", *self._key(step, slot)))
        photo, side = self.photo(chosen), self.settings.patch
        defect = self.real[chosen] if kind == REAL else Defect()
        height, width = photo.shape[1:]
        centre = (_inside(height, side, rng), _inside(width, side, rng))
        if defect.centre:
            centre = (defect.centre[0] * height, defect.centre[1] * width)
        pixels = augment.patch(photo, centre, side, augment.drawn(self.settings, rng))
        return kind, with_defect(pixels, rng) if kind == SYNTHETIC else pixels

    def kind(self, step: int, slot: int) -> str:
        """Good, synthetic or real."""
        rng = np.random.default_rng(derived_seed("kind", *self._key(step, slot)))
        if rng.random() < self.settings.inject and self.real:
            return REAL
        return SYNTHETIC if rng.random() < self.settings.synthetic else GOOD

    def chosen(self, kind: str, step: int, slot: int) -> str:
        """Whose patch it is: each photo draws a number of its own, the smallest by its weight wins."""
        weights = {name: d.weight for name, d in self.real.items()} if kind == REAL else None
        key = self._key(step, slot)

        def number(name: str) -> float:
            share = (derived_seed("photo", *key, name) + 1) / (2**64 + 1)
            return -float(np.log(share)) / (weights[name] if weights else 1)

        return min(weights or self.good, key=number)

    def _key(self, step: int, slot: int) -> tuple[object, ...]:
        return (self.name, self.settings.seed, step, slot)


def with_defect(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A synthetic defect on a patch (3, p, p), drawn after all augmentation, as in ISP sect. 3.2."""
    image = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    changed, _ = _DRAWER.apply(image, np.ones(image.shape[:2], bool), rng)
    return torch.from_numpy(changed).permute(2, 0, 1).contiguous()


def _inside(length: int, side: int, rng: np.random.Generator) -> float:
    """A centre along one side of a photo of which a patch is whole, if there is one."""
    return float(rng.uniform(side / 2, length - side / 2)) if length > side else length / 2
