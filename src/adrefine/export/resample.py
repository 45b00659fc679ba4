"""Resizing as products with fixed matrices: the same numbers in every runtime.

Resizing that treats rows and columns alone is linear in each of them, so what it does to a unit matrix is all
there is to know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import torch
from PIL import Image
from torch import nn

from adrefine.ingestion.affine import Box

Pair = tuple[int, int]
PillowResize = Callable[[Image.Image, Pair, Box], Image.Image]  # of a picture, to a size, from a box of it

_UNIT = 2.0**22  # Pillow's weights of pictures of 8 bits are whole numbers of 1 / 2^22
_PART = 2.0**11  # of a weight in these units: what is over it, and what is left
_LANCZOS = 2.5  # Pillow's filter reaches so far beyond a box, in pixels of the result
_BLOCKS = 8  # a matrix is cut into so many bands of rows; each reads only the pixels near it


class Resample(nn.Module):
    """Pictures (b, c, h, w) to (b, c, h', w') by weights of rows, `down` (h', h), and of columns, `across`
    (w', w); None: as `down`."""

    def __init__(self, down: torch.Tensor, across: torch.Tensor | None = None) -> None:
        super().__init__()
        self.across, self.down = _Mix(down if across is None else across), _Mix(down)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return _of_rows(self.down, self.across(x))


class WholeNumbers(nn.Module):
    """What Pillow does to grey levels (b, c, h, w), whole numbers 0 to 255; the same to the last of them.

    Args:
        down, across: as of `Resample`, in units of 1 / _UNIT. down_first: rows before columns; tells where
            it rounds in between.
    """

    def __init__(self, down: torch.Tensor, across: torch.Tensor, down_first: bool) -> None:
        super().__init__()
        self.across, self.down, self.down_first = _Rounded(across), _Rounded(down), down_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.across(_of_rows(self.down, x)) if self.down_first else _of_rows(self.down, self.across(x))


def _of_rows(mix: nn.Module, x: torch.Tensor) -> torch.Tensor:
    mixed: torch.Tensor = mix(x.transpose(2, 3))
    return mixed.transpose(2, 3)


class _Rounded(nn.Module):
    """The last axis mixed by weights in units of 1 / _UNIT, to whole numbers from 0 to 255, halves up.

    Weights are cut in two. So every product and every sum is a whole number that 32 bits hold, or a fraction
    that they hold, and no runtime has anything to round.
    """

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.same = _is_unit(weights / _UNIT)
        high = torch.round(weights / _PART)
        self.high, self.low = _Mix(high), _Mix(weights - _PART * high)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.same:
            return x
        above = self.high(x) * (_PART / _UNIT) + 0.5
        whole = torch.floor(above)
        return (whole + torch.floor(above - whole + self.low(x) / _UNIT)).clamp(0, 255)


class _Mix(nn.Module):
    """The last axis of x, n long, mixed to m by a matrix (m, n) with zeros far from its diagonal."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.same = _is_unit(matrix)
        self.ends: list[tuple[int, int]] = []
        for number, rows in enumerate(matrix.chunk(_BLOCKS if len(matrix) >= 8 * _BLOCKS else 1)):
            used = [0, *rows.abs().amax(dim=0).nonzero().flatten().tolist()]
            low, high = min(used[1:], default=0), used[-1] + 1
            self.ends.append((low, high))
            self.register_buffer(f"band{number}", rows[:, low:high].T.float().contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.same:
            return x
        parts = [x[..., low:high] @ self.get_buffer(f"band{k}") for k, (low, high) in enumerate(self.ends)]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]


class Reduced(nn.Module):
    """`Image.reduce` of grey levels (b, c, h, w): means of rectangles, those at the edge of fewer pixels.

    Pillow multiplies by the whole number of 2^24 that the count of pixels goes into, so that a mean without a
    rest falls one short, but where the count is a power of two.

    Args:
        box: left, top, right, bottom of what is reduced. factors: width and height of a rectangle.
    """

    def __init__(self, box: tuple[int, int, int, int], factors: Pair) -> None:
        super().__init__()
        self.box = box
        across, down = _blocks(box[2] - box[0], factors[0]), _blocks(box[3] - box[1], factors[1])
        self.count = len(across), len(down)
        self.across, self.down = _Mix(across), _Mix(down)
        pixels = down.sum(dim=1)[:, None] * across.sum(dim=1)
        short = torch.log2(pixels) % 1 != 0
        self.register_buffer("pixels", pixels)
        self.register_buffer("extra", torch.floor(pixels / 2) - 0.5 * short)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        left, top, right, bottom = self.box
        sums = _of_rows(self.down, self.across(x[:, :, top:bottom, left:right]))
        return torch.floor((sums + self.get_buffer("extra")) / self.get_buffer("pixels"))


def _blocks(length: int, factor: int) -> torch.Tensor:
    """(blocks, length): 1 where a pixel belongs to the block."""
    count = ceil(length / factor)
    return (torch.arange(length) // factor == torch.arange(count)[:, None]).float()


def _is_unit(matrix: torch.Tensor) -> bool:
    return matrix.shape[0] == matrix.shape[1] and bool((matrix == torch.eye(len(matrix))).all())


def of_torch(resize: Callable[[torch.Tensor], torch.Tensor], length: int) -> torch.Tensor:
    """Matrix (m, n) of what `resize` does to the columns of pictures (1, 1, n, n), n = `length`."""
    return resize(torch.eye(length, dtype=torch.float64)[None, None])[0, 0]


def of_pillow(
    resize: PillowResize, size: Pair, target: Pair, box: Box, gap: float | None = None
) -> nn.Module:
    """What `resize` does to pictures of 8 bits and `size` (width, height), the same to the grey level.

    Which direction goes first is Pillow's choice, by size and version: that which fits a picture of noise.

    Args:
        gap: `reducing_gap` of `resize`, whose filter is Lanczos' then; None: it has none.
    """
    if gap and (factors := _factors(target, box, gap)) != (1, 1):
        return _in_two_steps(resize, size, target, box, factors)
    across = _of_columns(resize, size[0], target[0], box[0], box[2])
    down = _of_columns(resize, size[1], target[1], box[1], box[3])
    noise = np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8)
    wanted = torch.from_numpy(np.array(resize(Image.fromarray(noise), target, box))).float()
    seen = torch.from_numpy(noise)[None, None].float()
    made = [WholeNumbers(down, across, down_first=first) for first in (False, True)]
    return min(made, key=lambda one: float((one(seen)[0, 0] - wanted).abs().sum()))


def _factors(target: Pair, box: Box, gap: float) -> Pair:
    """Sides of the rectangles of pixels that `Image.resize` averages first."""
    across, down = (box[2] - box[0]) / target[0], (box[3] - box[1]) / target[1]
    return int(across / gap) or 1, int(down / gap) or 1


def _in_two_steps(resize: PillowResize, size: Pair, target: Pair, box: Box, factors: Pair) -> nn.Module:
    """As `Image.resize` with a reducing gap: `Image.reduce` of what the filter sees, then the rest."""
    reach = [_LANCZOS * (high - low) / side for low, high, side in zip(box, box[2:], target, strict=False)]
    left, top = (max(0, int(low - far)) for low, far in zip(box, reach, strict=False))
    right, bottom = (
        min(length, ceil(high + far)) for high, far, length in zip(box[2:], reach, size, strict=True)
    )
    reduced = Reduced((left, top, right, bottom), factors)
    rest = tuple(
        (value - start) / factor
        for value, start, factor in zip(box, (left, top) * 2, factors * 2, strict=True)
    )
    smaller = (reduced.count[0], reduced.count[1])
    return nn.Sequential(reduced, of_pillow(resize, smaller, target, (rest[0], rest[1], rest[2], rest[3])))


def _of_columns(resize: PillowResize, length: int, target: int, low: float, high: float) -> torch.Tensor:
    """Weights (target, length) of what happens to columns, from `low` to `high` of them, in units of
    1 / _UNIT: Pillow rounds those of pictures of 8 bits to such, and the values of 32 bits so, too."""
    eye = Image.fromarray(np.eye(length, dtype=np.int32) * np.int32(_UNIT))
    weights = np.array(resize(eye, (length, target), (0, low, length, high)))
    return torch.from_numpy(weights).double()
