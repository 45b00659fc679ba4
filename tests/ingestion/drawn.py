"""Photos of drawn parts, for the tests of poses."""

from __future__ import annotations

from math import cos, sin

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
LENGTH, WIDTH = 90.0, 24.0  # of a club, pixels


def club(
    angle: float,
    at: tuple[float, float] = (80.0, 64.0),
    size: tuple[int, int] = (160, 128),
    scale: float = 1.0,
) -> Bool:
    """A bar of LENGTH x WIDTH / 2 with a block of WIDTH at the end that `angle` (radians, clockwise) points
    to.

    Args:
        at: x, y of the middle of its box.
        size: width and height of the photo.

    Returns:
        (h, w), true on the part.
    """
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    along = ((x - at[0]) * cos(angle) + (y - at[1]) * sin(angle)) / scale
    aside = ((y - at[1]) * cos(angle) - (x - at[0]) * sin(angle)) / scale
    bar = (abs(along) < LENGTH / 2) & (abs(aside) < WIDTH / 4)
    block = (abs(along - LENGTH / 2 + 10) < 10) & (abs(aside) < WIDTH / 2)
    return np.asarray(bar | block)


def photo(part: Bool, shade: int = 60, ground: int = 200, noise: float = 2.0, seed: int = 0) -> Array:
    """Grey photo (h, w) of a part on a plain ground with noise of that deviation."""
    rng = np.random.default_rng(seed)
    values = np.where(part, shade, ground) + rng.normal(0, noise, part.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
