"""How the part lies in one photo.

The part is the largest region that differs from the shade of the border; its axis comes from second moments,
its thicker end from third ones. Only a copy of `WORKING` pixels a side is looked at: one to three
milliseconds.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import atan2, cos, hypot, pi, sin, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from adrefine.ingestion.affine import Affine

VERSION = 1  # raise when the same photo would be found to lie otherwise
WORKING = 96  # pixels of the longer side of the copy that the part is looked for in
SHAPE = 16  # fewer a side show no part
MARGIN = 1.15  # the crop is this many times as long and as wide as the part
CONTRAST = 10.0  # grey levels by which a part differs from the border's shade, at least
SPREADS = 4.0  # and in units of the border's own median difference from it
SMALLEST, LARGEST = 0.01, 0.9  # share of the photo that a part covers
TOUCH = 0.06  # share of the border that a part may touch: the shadow of a whole one can reach it
SECOND = 0.3  # a second region of this share of the largest one is a second part

NOTHING, SEVERAL, CUT = "no part found", "several parts", "part cut by the border"
Grey = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pose:
    """How the part lies; lengths are shares of the photo's longer side.

    Attributes:
        problem: why there is none: NOTHING, SEVERAL or CUT; "" if there is one. The rest is 0 without.
        x, y: centre of the part's box.
        angle: from the thinner to the thicker end, radians, clockwise from the right.
        length, width: of the part along its axis and across.
        ratio: of the deviations of its pixels along the axis and across, 1 for a round part.
    """

    problem: str = ""
    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    length: float = 0.0
    width: float = 0.0
    ratio: float = 0.0

    def values(self) -> list[Any]:
        """As JSON can hold it."""
        return list(astuple(self))

    def transform(self, width: int, height: int, size: int, aspect: float) -> Affine:
        """From the `size` x `size` pixels of the turned and cropped photo to the pixels of the photo.

        Args:
            width, height: of the photo, pixels.
            aspect: length by width of the box that becomes the square, so that parts of different proportions
                keep them; 0: the part's own.
        """
        side = max(width, height)
        along, across = MARGIN * self.length * side, MARGIN * self.width * side
        if aspect:
            along, across = max(along, across * aspect), max(across, along / aspect)
        turn = np.array([cos(self.angle), sin(self.angle)])
        right, down = turn * along / size, np.array([-turn[1], turn[0]]) * across / size
        corner = np.array([self.x, self.y]) * side - (right + down) * size / 2
        return Affine(right[0], down[0], corner[0], right[1], down[1], corner[1])


def reduced(image: Image.Image) -> Image.Image:
    """The copy of a photo that `find` looks at, in the photo's proportions, for photos of any size."""
    scale = min(1.0, WORKING / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def find(small: Image.Image) -> Pose:
    """How the part lies in a photo.

    Args:
        small: mode L or RGB, from `reduced`.
    """
    if min(small.size) < SHAPE:
        return Pose(NOTHING)
    away, floor = _from_border(np.asarray(small, dtype=np.float32))
    differs = np.pad(away > max(_otsu(away), floor), 3)
    mask = ndimage.binary_opening(ndimage.binary_closing(differs, iterations=2))[3:-3, 3:-3]
    regions, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.sort(np.bincount(regions.ravel(), minlength=2)[1:])[::-1]
    if not SMALLEST <= sizes[0] / mask.size <= LARGEST:
        return Pose(NOTHING)
    if count > 1 and sizes[1] > SECOND * sizes[0]:
        return Pose(SEVERAL)
    part = regions == np.bincount(regions.ravel())[1:].argmax() + 1
    if border_of(part).mean() > TOUCH:
        return Pose(CUT)
    return _measure(part)


def border_of(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(h, w, ...) to (2 (h + w) - 4, ...): the outermost pixels, each once."""
    return np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])


def _from_border(values: Grey) -> tuple[Grey, float]:
    """Grey levels (h, w) away from the border's median, and the least by which a part is away."""
    channels = [values] if values.ndim == 2 else list(np.ascontiguousarray(values.transpose(2, 0, 1)))
    away = np.maximum.reduce([np.abs(channel - np.median(border_of(channel))) for channel in channels])
    away = ndimage.uniform_filter(away, 3)
    return away, max(CONTRAST, SPREADS * float(np.median(border_of(away))))


def _otsu(values: Grey) -> float:
    """The grey level that parts the values best (Otsu 1979)."""
    counts = np.bincount(values.astype(np.int64).ravel(), minlength=256).astype(np.float64)
    low = np.cumsum(counts) / counts.sum()
    below = np.cumsum(counts * np.arange(counts.size)) / counts.sum()
    between = (below[-1] * low - below) ** 2 / np.maximum(low * (1 - low), 1e-12)
    return float(between.argmax()) + 1


def _measure(part: Bool) -> Pose:
    """Axis, box and ratio of the region (h, w)."""
    rows, columns = np.nonzero(part)
    x, y = columns + 0.5, rows + 0.5
    right, down = x - x.mean(), y - y.mean()
    xx, yy, xy = (
        (right**2).mean() + 1 / 12,
        (down**2).mean() + 1 / 12,
        (right * down).mean(),
    )  # 1/12: a pixel's
    angle, half, middle = atan2(2 * xy, xx - yy) / 2, hypot((xx - yy) / 2, xy), (xx + yy) / 2
    along = right * cos(angle) + down * sin(angle)
    if (along * along * along).sum() > 0:  # the longer tail is the thinner end
        angle -= pi if angle > 0 else -pi
    along, aside = right * cos(angle) + down * sin(angle), down * cos(angle) - right * sin(angle)
    forward, sideways = (along.max() + along.min()) / 2, (aside.max() + aside.min()) / 2
    side = max(part.shape)
    numbers = (
        (x.mean() + forward * cos(angle) - sideways * sin(angle)) / side,
        (y.mean() + forward * sin(angle) + sideways * cos(angle)) / side,
        angle,
        (np.ptp(along) + 1) / side,
        (np.ptp(aside) + 1) / side,
        sqrt((middle + half) / (middle - half)),
    )
    return Pose("", *(round(float(number), 6) for number in numbers))
