"""Patches turned, scaled, sheared, flipped and lit at random (ISP table 8), and the smoothing of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Point = tuple[float, float]


@dataclass(frozen=True)
class Change:
    """How a patch is drawn: `affine` (2, 2) from its pixels to those of the photo, both from its centre; its
    values times `brightness`, their differences to their mean times `contrast`."""

    affine: np.ndarray
    brightness: float = 1.0
    contrast: float = 1.0


def drawn(s: Any, rng: np.random.Generator) -> Change:
    """A change within the ranges of section `mixed`, each uniform (ISP names ranges alone).

    The affine part is applied to a share `affine` of the patches, light to all.
    """
    brightness, contrast = rng.uniform(1 - s.light, 1 + s.light, 2)
    angle, scale, shear = rng.uniform(-s.rotation, s.rotation), rng.uniform(*s.scale), rng.uniform(-1, 1)
    flips = rng.choice([-1.0, 1.0], 2) if s.flip else np.ones(2)
    if rng.random() >= s.affine:
        return Change(np.eye(2), brightness, contrast)
    turn, lean = np.radians(angle), np.tan(np.radians(shear * s.shear))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return Change(turned @ np.array([[1, lean], [0, 1]]) @ np.diag(flips) / scale, brightness, contrast)


def patch(photo: torch.Tensor, centre: Point, side: int, change: Change) -> torch.Tensor:
    """The patch (c, side, side) about `centre` (row, column) of a photo (c, h, w) in 0..1.

    Bilinear; beyond the border the photo is mirrored.
    """
    steps = np.arange(side) - (side - 1) / 2
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1) @ change.affine.T
    at = offsets + np.asarray(centre) - 0.5  # pixel k covers k to k + 1
    size = np.array(photo.shape[1:])
    grid = torch.from_numpy(((2 * at + 1) / size - 1)[..., ::-1].astype(np.float32))
    cut = F.grid_sample(photo[None], grid[None], padding_mode="reflection", align_corners=False)[0]
    lit = cut * change.brightness
    return ((lit - lit.mean()) * change.contrast + lit.mean()).clamp(0, 1)


def smoothed(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Images (b, c, h, w) after a Gaussian of 3 x 3 pixels (ISP sect. 4.2: sigma 1); 0: as they are."""
    if not sigma:
        return images
    kernel, channels = gaussian(sigma).to(images), images.shape[1]
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    weight = torch.outer(kernel, kernel).expand(channels, 1, 3, 3)
    return F.conv2d(padded, weight, groups=channels)


def gaussian(sigma: float) -> torch.Tensor:
    """(3,) weights, together 1."""
    weights = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0]) ** 2) / (2 * sigma**2))
    return weights / weights.sum()
