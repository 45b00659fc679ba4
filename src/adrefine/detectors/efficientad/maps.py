"""Anomaly maps: raw, normalized, fused, and the score of an image (EAD sect. 4.4, 4.5, 4.7).

Of two raw maps the first is the student's (local defects), the second the autoencoder's (global structure).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from adrefine.areas.region import Region
from adrefine.backbones.pdn import CHANNELS
from adrefine.detectors.photos import size_of

Maps = NDArray[np.float32]
_COUNTED = 128**2  # pixels of a map that enter its quantiles, or a little more
TARGET = 0.1  # where the quantile q_b goes; q_a goes to 0
BEND = 0.02  # scores under this bend towards 0 instead of crossing it
_EVEN = 0.1  # share of the mean deviation that is added to that of each place
_TINY = 1e-9


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


def of_files(maps: Iterable[Maps], files: list[Path]) -> Maps:
    """Maps (n, h, w) at the size of the files, which is one."""
    sized = [
        resized(torch.from_numpy(one)[None, None], size_of(file))[0, 0].numpy()
        for one, file in zip(maps, files, strict=True)
    ]
    return np.stack(sized) if sized else np.zeros((0, 1, 1), np.float32)


def inside_of(shape: tuple[int, ...], region: Region | None) -> NDArray[np.bool_]:
    """Positions (h, w) of maps of shape (..., h, w) that count: all of them without a region."""
    return np.ones(shape[-2:], bool) if region is None else region.of_shape(shape)


def within(maps: Maps, region: Region | None) -> Maps:
    """Maps (..., h, w) that outside `region`, if there is one, have their lowest values inside."""
    if region is None:
        return maps
    inside = region.of_shape(maps.shape)
    return np.where(inside, maps, maps[..., inside].min(axis=-1)[..., None, None])


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean of (..., h, w) over 3 x 3, the edge repeated."""
    maps = torch.from_numpy(values).reshape(1, -1, *values.shape[-2:])
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(padded, 3, stride=1).numpy().reshape(values.shape)


def usual(
    mean: np.ndarray, deviation: np.ndarray, even: float, region: Region | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """What is usual at each place, and the unit of what is not, from both over photos (..., h, w).

    Neighbours are averaged, and each place gets `even` times the mean deviation of those in the region: of
    few photos a place knows little. Ours, no document.
    """
    spread = smooth(deviation)
    inside = inside_of(spread.shape, region)
    return smooth(mean), spread + even * spread[..., inside].mean(axis=-1)[..., None, None] + _TINY


def usual_of(maps: Iterable[Maps], region: Region | None = None) -> tuple[np.ndarray, np.ndarray]:
    """`usual` of maps of one shape, which are read once, one after the other."""
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for one in maps:
        wide = one.astype(np.float64)
        count, total, squares = count + 1, total + wide, squares + wide**2
    mean = total / count
    return usual(mean, np.sqrt(np.maximum(squares / count - mean**2, 0)), _EVEN, region)


@dataclass(frozen=True, eq=False)
class Scale:
    """Quantiles of both maps of good images: `low` goes to 0, `high` to 0.1 (sect. 4.7).

    Attributes:
        low, high: (2, 1, 1), the same at all places, or (2, h, w).
    """

    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def of(maps: Iterable[Maps], q_a: float, q_b: float) -> Scale:
        """The quantiles q_a and q_b of all pixels of the raw `maps`, each (2, h, w).

        Of large maps every n-th pixel counts, so that memory stays small.
        """
        pixels = np.concatenate([_thinned(one) for one in maps], axis=1)
        low, high = np.quantile(pixels, [q_a, q_b], axis=1)
        return Scale(low[:, None, None], high[:, None, None])

    def at(self, mean: np.ndarray, spread: np.ndarray) -> Scale:
        """For raw maps, where this one is for their deviations (2, h, w) from `mean` in units of `spread`."""
        return Scale(mean + spread * self.low, mean + spread * self.high)

    def fused(self, maps: Maps, alpha: float) -> Maps:
        """H = α · student + (1 − α) · autoencoder (eq. 4.12), (h, w), of raw maps (2, h, w)."""
        local, overall = TARGET * (maps - self.low) / np.maximum(self.high - self.low, 1e-12)
        return (alpha * local + (1 - alpha) * overall).astype(np.float32)


def _thinned(maps: Maps) -> Maps:
    step = max(1, round((maps[0].size / _COUNTED) ** 0.5))
    return maps[:, ::step, ::step].reshape(2, -1)


def share_of(positions: tuple[int, int], top: float, region: Region | None) -> int:
    """How many of a map's positions (h, w) the share `top` of those in the region are, at least one."""
    return max(1, round(top * int(inside_of(positions, region).sum())))


def image_scores(fused: Iterable[Maps], top: float, region: Region | None) -> NDArray[np.float64]:
    """`image_score` of maps (h, w) of one shape, by the share `top` of the positions in the region."""
    scores: list[float] = []
    count = 0
    for one in fused:
        count = count or share_of(one.shape, top, region)
        scores.append(image_score(one, count))
    return np.array(scores, dtype=np.float64)


def image_score(fused: Maps, count: int = 1) -> float:
    """max H, or the mean of its `count` largest values, made positive, or λ × median would mean nothing.

    An image that lies under q_a everywhere has a max H under 0. Scores of 0.02 and more, a fifth of what q_b
    gets, are max H itself; lower ones bend towards 0 exponentially, with the same slope where they begin, and
    keep their order.
    """
    highest = float(np.partition(fused, -count, axis=None)[-count:].mean())
    return highest if highest >= BEND else BEND * float(np.exp(max(highest / BEND - 1, -700.0)))
