"""The region of interest: one mask for all photos of a product, at the working size.

What lies outside becomes one shade in every image before anything looks at it, so nothing outside can change
a number, however far a network sees. Places without a pixel inside are all 0, and maps are 0 outside.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.errors import UserError

FILE = "roi.png"  # in data/ingested, data/prepared/pixels and bundles; none: the whole photo counts
SHADE = 117  # grey level outside, the mean of ImageNet: what networks see as nothing
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels (side, side) of images that count."""

    inside: Flags

    @property
    def share(self) -> float:
        """Share of an image that counts."""
        return float(self.inside.mean())

    @property
    def digest(self) -> str:
        """A name for exactly these pixels."""
        return hashlib.sha256(f"{SHADE} {self.inside.shape} ".encode() + self.inside.tobytes()).hexdigest()[
            :16
        ]

    def picture(self) -> Image.Image:
        """As `FILE` holds it: white inside, black outside."""
        return Image.fromarray(self.inside.astype(np.uint8) * 255)

    def only(self, image: Image.Image) -> Image.Image:
        """An image (L or RGB) of the working size with one shade outside; L where no colour is left."""
        values = np.array(image)
        values[~self.inside] = SHADE
        if values.ndim == 3 and (values == values[..., :1]).all():
            values = values[..., 0]
        return Image.fromarray(values)

    def cut(self, mask: Image.Image) -> Image.Image:
        """A mask (L) of the working size without what lies outside."""
        return Image.fromarray(np.where(self.inside, np.asarray(mask), 0).astype(np.uint8))

    def places(self, grid: int) -> list[int]:
        """Numbers of the places, of `grid` a side and row by row, that have a pixel inside."""
        import torch
        import torch.nn.functional as F

        pixels = torch.from_numpy(self.inside.astype(np.float32))[None, None]
        return np.flatnonzero(F.adaptive_max_pool2d(pixels, grid).numpy()).tolist()

    def of_shape(self, shape: tuple[int, ...]) -> Flags:
        """The pixels that count in arrays of shape (..., h, w): those that one inside touches."""
        height, width = shape[-2:]
        if (height, width) == self.inside.shape:
            return self.inside
        small = Image.fromarray(self.inside.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
        return np.asarray(np.asarray(small) > 0)

    def cleared(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Maps (..., h, w) that are 0 outside."""
        return np.where(self.of_shape(maps.shape), maps, maps.dtype.type(0))

    def calmed(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Maps (n, h, w) for pictures, which show what is over the median: outside is that of the inside."""
        inside = self.of_shape(maps.shape)
        usual = np.median(maps[:, inside], axis=1)[:, None, None]
        return np.where(inside, maps, usual).astype(maps.dtype)


def find(folder: Path) -> Region | None:
    """The region that `folder` holds; None: the whole photo counts."""
    return read(folder / FILE) if (folder / FILE).exists() else None


def read(file: Path) -> Region:
    """The region in a file that `picture` made.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with Image.open(file) as image:
            return Region(np.asarray(image.convert("L")) > 127)
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{file} cannot be read ({error}): run `dvc repro -f -s ingest`") from None
