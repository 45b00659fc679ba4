"""Anomaly maps: raw, normalized, fused, and the score of an image (EAD sect. 4.4, 4.5, 4.7).

Of two raw maps the first is the student's (local defects), the second the autoencoder's (global structure).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from adrefine.areas.region import Region
from adrefine.backbones.pdn import CHANNELS

Maps = NDArray[np.float32]
_COUNTED = 128**2  # pixels of a map that enter its quantiles, or a little more
TARGET = 0.1  # where the quantile q_b goes; q_a goes to 0
BEND = 0.02  # scores under this bend towards 0 instead of crossing it


def raw(teacher: torch.Tensor, student: torch.Tensor, autoencoder: torch.Tensor) -> torch.Tensor:
    """Mean squared differences (b, 2, h', w') over the channels: teacher against the student's first half,
    autoencoder against its second (original EfficientAD).

    Args:
        teacher, autoencoder: (b, 384, h', w'). student: (b, 768, h', w').
    """
    local = (teacher - student[:, :CHANNELS]).square().mean(dim=1)
    overall = (autoencoder - student[:, CHANNELS:]).square().mean(dim=1)
    return torch.stack([local, overall], dim=1)


def framed(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Maps (b, 2, h', w') as (b, 2, size, size): without padding a PDN says nothing of a photo's edge,
    and the nearest value stands in."""
    edge = (size - maps.shape[-1]) // 2
    return F.pad(maps, (edge, edge, edge, edge), mode="replicate") if edge else maps


def resized(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps (b, k, h', w') as (b, k, h, w), bilinear."""
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def within(maps: Maps, region: Region) -> Maps:
    """Raw maps (2, h, w) that outside `region` have their lowest values inside."""
    inside = region.of_shape(maps.shape)
    return np.where(inside, maps, maps[:, inside].min(axis=1)[:, None, None])


@dataclass(frozen=True)
class Scale:
    """Quantiles of both maps of good images: `low` goes to 0, `high` to 0.1 (sect. 4.7)."""

    low: tuple[float, float]
    high: tuple[float, float]

    @staticmethod
    def of(maps: Iterable[Maps], q_a: float, q_b: float) -> Scale:
        """The quantiles q_a and q_b of all pixels of the raw `maps`, each (2, h, w).

        Of large maps every n-th pixel counts, so that memory stays small.
        """
        pixels = np.concatenate([_thinned(one) for one in maps], axis=1)
        low, high = np.quantile(pixels, [q_a, q_b], axis=1).tolist()
        return Scale((low[0], low[1]), (high[0], high[1]))

    def fused(self, maps: Maps, alpha: float) -> Maps:
        """H = α · student + (1 − α) · autoencoder (eq. 4.12), (h, w), of raw maps (2, h, w)."""
        local, overall = (
            TARGET * (one - low) / max(high - low, 1e-12)
            for one, low, high in zip(maps, self.low, self.high, strict=True)
        )
        return (alpha * local + (1 - alpha) * overall).astype(np.float32)


def _thinned(maps: Maps) -> Maps:
    step = max(1, round((maps[0].size / _COUNTED) ** 0.5))
    return maps[:, ::step, ::step].reshape(2, -1)


def image_score(fused: Maps) -> float:
    """max H, made positive, or λ × median would mean nothing.

    An image that lies under q_a everywhere has a max H under 0. Scores of 0.02 and more, a fifth of what q_b
    gets, are max H itself; lower ones bend towards 0 exponentially, with the same slope where they begin, and
    keep their order.
    """
    highest = float(fused.max())
    return highest if highest >= BEND else BEND * float(np.exp(max(highest / BEND - 1, -700.0)))
