"""From the pixels of an ingested image to those of the photo it was made of, and back.

Coordinates are continuous: the first pixel spans 0 to 1, its centre is .5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
Points = npt.NDArray[np.float64]


class Affine(NamedTuple):
    """x' = a x + b y + c, y' = d x + e y + f."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    @classmethod
    def of_box(cls, box: Box, size: tuple[int, int], corner: tuple[int, int]) -> Affine:
        """From an image in which `box` of a photo became `size` pixels with their first one at `corner`."""
        across, down = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
        return cls(across, 0.0, box[0] - across * corner[0], 0.0, down, box[1] - down * corner[1])

    def apply(self, points: npt.ArrayLike) -> Points:
        """Points (n, 2) as x, y, moved."""
        x, y = np.asarray(points, dtype=np.float64).T
        return np.stack([self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f], axis=1)

    def inverse(self) -> Affine:
        """The way back."""
        area = self.a * self.e - self.b * self.d
        a, b, d, e = self.e / area, -self.b / area, -self.d / area, self.a / area
        return Affine(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    def scaled(self, across: float, down: float) -> Affine:
        """The same, to a photo that many times as wide and as high."""
        a, b, c, d, e, f = self
        return Affine(a * across, b * across, c * across, d * down, e * down, f * down)

    def steps(self) -> tuple[float, float]:
        """Pixels passed in the photo by one pixel to the right and one down."""
        return float(np.hypot(self.a, self.d)), float(np.hypot(self.b, self.e))

    def box(self, box: Box) -> Box:
        """The upright box around a moved box."""
        left, top, right, bottom = box
        moved = self.apply([(left, top), (right, top), (right, bottom), (left, bottom)])
        return (*moved.min(axis=0).tolist(), *moved.max(axis=0).tolist())

    def map_back(self, heat: npt.NDArray[np.float32], side: int, size: tuple[int, int]) -> Image.Image:
        """An anomaly map of the image laid over its photo.

        Args:
            heat: (h, w), over the whole image.
            side: pixels a side of the image that this transform starts from.
            size: width and height of the photo.

        Returns:
            Mode F; where the photo was not looked at: the map's minimum.
        """
        rows, columns = heat.shape
        back = self.inverse()
        across, down = columns / side, rows / side
        data = (
            back.a * across,
            back.b * across,
            back.c * across,
            back.d * down,
            back.e * down,
            back.f * down,
        )
        image = Image.fromarray(np.asarray(heat, dtype=np.float32))
        low = float(np.min(heat))
        return image.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=low)
