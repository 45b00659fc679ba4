"""A piece of the same photo, turned and re-lit, in the wrong place (CutPaste, Li et al. 2021)."""

from __future__ import annotations

import numpy as np

from adrefine.defects import base
from adrefine.sections import PositiveShare


class CutPaste(base.Generator):
    """Paste one piece of `min_area` to `max_area` of the image; every third is a thin scar."""

    min_area: PositiveShare = 0.005
    max_area: PositiveShare = 0.04

    def apply(
        self, image: base.Image, foreground: base.Mask, rng: np.random.Generator
    ) -> tuple[base.Image, base.Mask]:
        """See `Generator.apply`."""
        h, w = foreground.shape
        area = base.log_uniform(self.min_area, max(self.min_area, self.max_area), rng) * h * w
        aspect = base.log_uniform(5, 14, rng) if rng.random() < 1 / 3 else base.log_uniform(1, 3, rng)
        area = area / 3 if aspect > 4 else area
        radii = (np.sqrt(area * aspect / np.pi), np.sqrt(area / aspect / np.pi))
        there = base.random_point(foreground, rng)
        window, opacity = base.blob(there, radii, foreground.shape, rng, square=base.log_uniform(2, 5, rng))
        piece = _piece(image, there, base.random_point(foreground, rng), window, rng)
        patch = image[window]
        light = 1 + rng.normal(0, 0.15)
        middle = piece.mean(axis=(0, 1))
        shift = rng.uniform(0.1, 0.9) * base.amplitude(patch, rng) * base.tint(patch, rng)
        piece = middle + (piece - middle) * rng.uniform(0.6, 1.5) * light + shift
        changed = image.copy()
        changed[window] += opacity[..., None] * rng.uniform(0.75, 1) * (piece - patch)
        return base.finish(image, changed, foreground)


def _piece(
    image: base.Image,
    there: tuple[int, int],
    source: tuple[int, int],
    window: base.Window,
    rng: np.random.Generator,
) -> base.Image:
    """The surroundings of `source`, turned by any angle, in the size of `window` around `there`."""
    from scipy import ndimage

    y, x = np.mgrid[window].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    y, x = y - there[0], x - there[1]
    rows = source[0] + y * np.cos(turn) + x * np.sin(turn)
    cols = source[1] - y * np.sin(turn) + x * np.cos(turn)
    layers = [ndimage.map_coordinates(image[..., c], [rows, cols], order=1, mode="reflect") for c in range(3)]
    return np.stack(layers, axis=2)
