"""The network that tells the noise in a noisy photo: a U-Net that knows how noisy it is (DDPM, 2020)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

_GROUPS = 8  # of a group norm
_HEADS = 4  # of the attention


class Residual(nn.Module):
    """Two convolutions and what came in; the time is added between them."""

    def __init__(self, before: int, after: int, time: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(_GROUPS, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)
        )
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, after))
        self.second = nn.Sequential(
            nn.GroupNorm(_GROUPS, after),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.past = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, maps: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, h, w) and the embedding (b, t) of their time."""
        inner = self.first(maps) + self.time(time)[:, :, None, None]
        out: torch.Tensor = self.past(maps) + self.second(inner)
        return out


class Attention(nn.Module):
    """Every place looks at all others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, channels)
        self.inner = nn.MultiheadAttention(channels, _HEADS, batch_first=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (b, c, h, w)."""
        places = self.norm(maps).flatten(2).transpose(1, 2)
        seen, _ = self.inner(places, places, places, need_weights=False)
        return maps + seen.transpose(1, 2).view_as(maps)


class Stage(nn.Module):
    """A residual block, and attention where that is wanted."""

    def __init__(self, before: int, after: int, time: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.block = Residual(before, after, time, dropout)
        self.attention = Attention(after) if attends else nn.Identity()

    def forward(self, maps: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """See `Residual`."""
        out: torch.Tensor = self.attention(self.block(maps, time))
        return out


class UNet(nn.Module):
    """Two blocks a level down, three up, each joined with what was seen on the way down.

    Args:
        channels: of the first level. levels: how many times as many each level has; between levels the side
            is halved. attention: sides at which places look at each other. side: of the photos.
    """

    def __init__(
        self, channels: int, levels: list[int], attention: list[int], side: int, dropout: float
    ) -> None:
        super().__init__()
        self.channels, time = channels, 4 * channels
        self.time = nn.Sequential(nn.Linear(channels, time), nn.SiLU(), nn.Linear(time, time))
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        now, kept = channels, [channels]
        for level, factor in enumerate(levels):
            for _ in range(2):
                attends = side >> level in attention
                self.down.append(Stage(now, factor * channels, time, dropout, attends))
                now = factor * channels
                kept.append(now)
            if level < len(levels) - 1:
                self.down.append(nn.Conv2d(now, now, 3, stride=2, padding=1))
                kept.append(now)
        self.middle = nn.ModuleList(Stage(now, now, time, dropout, attends=bool(n)) for n in (1, 0))
        for level, factor in reversed(list(enumerate(levels))):
            for _ in range(3):
                attends = side >> level in attention
                self.up.append(Stage(now + kept.pop(), factor * channels, time, dropout, attends))
                now = factor * channels
            if level:
                self.up.append(nn.Conv2d(now, now, 3, padding=1))
        self.last = nn.Sequential(nn.GroupNorm(_GROUPS, now), nn.SiLU(), nn.Conv2d(now, 3, 3, padding=1))

    def forward(self, photos: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """The noise (b, 3, h, w) in noisy photos of that shape at the diffusion's `steps` (b,)."""
        time = self.time(embedded(steps, self.channels))
        maps = self.first(photos)
        kept = [maps]
        for layer in self.down:
            maps = layer(maps, time) if isinstance(layer, Stage) else layer(maps)
            kept.append(maps)
        for layer in self.middle:
            maps = layer(maps, time)
        for layer in self.up:
            if isinstance(layer, Stage):
                maps = layer(torch.cat([maps, kept.pop()], dim=1), time)
            else:
                maps = layer(F.interpolate(maps, scale_factor=2.0, mode="nearest"))
        noise: torch.Tensor = self.last(maps)
        return noise


def embedded(steps: torch.Tensor, width: int) -> torch.Tensor:
    """Sines and cosines (b, width) of the steps (b,), from fast to slow."""
    half = width // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, device=steps.device) / half)
    angles = steps[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
