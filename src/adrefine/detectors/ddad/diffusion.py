"""Noise added to a photo step by step, and taken away again towards a target (DDAD, 2023)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch

from adrefine.detectors.ddad.settings import STEPS

Noise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_FIRST, _LAST = 1e-4, 0.02  # variance added in the first and in the last step (DDPM)


@cache
def kept() -> torch.Tensor:
    """ᾱ (STEPS + 1,) float64: which share of the photo's variance is left after t steps; 1 after none."""
    left = torch.cumprod(1 - torch.linspace(_FIRST, _LAST, STEPS, dtype=torch.float64), dim=0)
    return torch.cat([torch.ones(1, dtype=torch.float64), left])


def noisy(photos: torch.Tensor, steps: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Photos (b, 3, h, w) in −1..1 after so many steps (b,): √ᾱ x + √(1 − ᾱ) ε (DDPM eq. 4)."""
    share = kept()[steps.cpu()].to(photos)[:, None, None, None]
    return share.sqrt() * photos + (1 - share).sqrt() * noise


def reconstructed(
    net: Noise, target: torch.Tensor, start: int, stride: int, guidance: float, generator: torch.Generator
) -> torch.Tensor:
    """The photos that `net` makes of noisy `target`s, held to them by `guidance`.

    From `start` on, every `stride` steps (DDAD algorithm 1, η = 1):
    ε = net(x_t, t);  y_t = √ᾱ y + √(1 − ᾱ) ε;  ε' = ε − w √(1 − ᾱ) (y_t − x_t);
    x_0 = (x_t − √(1 − ᾱ) ε') / √ᾱ;  then DDIM's step to t − stride.

    Args:
        target: y, (b, 3, h, w) in −1..1. guidance: w. generator: of the noise, the same for every photo.
    """
    left, shape = kept().tolist(), target.shape[1:]

    def draw() -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(target)

    times = [*range(start, 0, -stride), 0]
    x = left[start] ** 0.5 * target + (1 - left[start]) ** 0.5 * draw()
    for now, after in pairwise(times):
        a, b = left[now], left[after]
        noise = net(x, torch.full((len(x),), now, device=x.device))
        pulled = a**0.5 * target + (1 - a) ** 0.5 * noise
        noise = noise - guidance * (1 - a) ** 0.5 * (pulled - x)
        photo = (x - (1 - a) ** 0.5 * noise) / a**0.5
        fresh = ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5
        x = b**0.5 * photo + max(1 - b - fresh**2, 0.0) ** 0.5 * noise + fresh * draw()
    return x
