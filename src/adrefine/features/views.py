"""Transformed copies of an image (DifferNet: rotations; others add light), the same for every image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from adrefine.params import Embed

_GOLDEN = (math.sqrt(5) - 1) / 2


def angle_of(view: int, views: int, rotate: bool) -> float:
    """Degrees, counter-clockwise, by which view number `view` of `views` is turned; view 0 never is."""
    return 360.0 * view / views if rotate else 0.0


def transform(images: torch.Tensor, view: int, params: Embed) -> torch.Tensor:
    """View number `view` of images (b, c, h, w) in 0..1; light follows a low-discrepancy sequence."""
    if view == 0:
        return images
    turned = turn(images, angle_of(view, params.views, params.rotate))
    if not params.light:
        return turned
    brightness = 1 + params.light * (2 * ((view * _GOLDEN) % 1) - 1)
    contrast = 1 + params.light * (2 * ((view * _GOLDEN**2) % 1) - 1)
    return (((turned - 0.5) * contrast + 0.5) * brightness).clamp(0, 1)


def turn(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotate (b, c, h, w) counter-clockwise about the centre; quarter turns of squares are exact."""
    quarters, rest = divmod(degrees % 360, 90)
    if rest == 0 and (quarters % 2 == 0 or images.shape[-1] == images.shape[-2]):
        return torch.rot90(images, int(quarters), (2, 3))
    angle = math.radians(degrees)
    matrix = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]])
    grid = F.affine_grid(matrix.to(images).expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
