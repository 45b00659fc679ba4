"""Resizing as products with fixed matrices: the same numbers in every runtime.

Resizing that treats rows and columns alone is linear in each of them, so what it does to a unit matrix is all
there is to know of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import nn

from adrefine.ingestion.affine import Box

Pair = tuple[int, int]
PillowResize = Callable[[Image.Image, Pair, Box], Image.Image]  # of a picture, to a size, from a box of it

_BLOCKS = 8  # a matrix is cut into so many bands of rows; each reads only the pixels near it


class Resample(nn.Module):
    """Pictures (b, c, h, w) to (b, c, h', w').

    Args:
        down: (h', h) weights of rows. across: (w', w) of columns; None: as `down`.
        rounds: after each direction, to whole grey levels from 0 to 255, as Pillow does.
        down_first: rows before columns; tells where it rounds in between.
    """

    def __init__(
        self,
        down: torch.Tensor,
        across: torch.Tensor | None = None,
        rounds: bool = False,
        down_first: bool = False,
    ) -> None:
        super().__init__()
        self.across, self.down = _Mix(down if across is None else across), _Mix(down)
        self.rounds, self.down_first = rounds, down_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self._across(self._down(x)) if self.down_first else self._down(self._across(x))

    def _across(self, x: torch.Tensor) -> torch.Tensor:
        return self._rounded(self.across(x))

    def _down(self, x: torch.Tensor) -> torch.Tensor:
        return self._rounded(self.down(x.transpose(2, 3)).transpose(2, 3))

    def _rounded(self, x: torch.Tensor) -> torch.Tensor:
        return torch.floor(x + 0.5).clamp(0, 255) if self.rounds else x


class _Mix(nn.Module):
    """The last axis of x, n long, mixed to m by a matrix (m, n) with zeros far from its diagonal."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.same = matrix.shape[0] == matrix.shape[1] and bool((matrix == torch.eye(len(matrix))).all())
        self.ends: list[tuple[int, int]] = []
        for number, rows in enumerate(matrix.chunk(_BLOCKS if len(matrix) >= 8 * _BLOCKS else 1)):
            used = rows.abs().amax(dim=0).nonzero()
            low, high = int(used.min()), int(used.max()) + 1
            self.ends.append((low, high))
            self.register_buffer(f"band{number}", rows[:, low:high].T.float().contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.same:
            return x
        parts = [x[..., low:high] @ self.get_buffer(f"band{k}") for k, (low, high) in enumerate(self.ends)]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]


def of_torch(resize: Callable[[torch.Tensor], torch.Tensor], length: int) -> torch.Tensor:
    """Matrix (m, n) of what `resize` does to the columns of pictures (1, 1, n, n), n = `length`."""
    return resize(torch.eye(length, dtype=torch.float64)[None, None])[0, 0]


def of_pillow(resize: PillowResize, size: Pair, target: Pair, box: Box) -> Resample:
    """What `resize` does to pictures of 8 bits and `size` (width, height), but for ties in rounding.

    Which direction goes first is Pillow's choice, by size and version: that which fits a picture of noise.
    """
    across = _of_columns(resize, size[0], target[0], box[0], box[2])
    down = _of_columns(resize, size[1], target[1], box[1], box[3])
    noise = np.random.default_rng(0).integers(0, 256, size[::-1], dtype=np.uint8)
    wanted = torch.from_numpy(np.array(resize(Image.fromarray(noise), target, box))).float()
    seen = torch.from_numpy(noise)[None, None].float()
    made = [Resample(down, across, rounds=True, down_first=first) for first in (False, True)]
    return min(made, key=lambda one: float((one(seen)[0, 0] - wanted).abs().sum()))


def _of_columns(resize: PillowResize, length: int, target: int, low: float, high: float) -> torch.Tensor:
    """Matrix (target, length) of what happens to columns, from `low` to `high` of them."""
    eye = Image.fromarray(np.eye(length, dtype=np.float32))
    return torch.from_numpy(np.array(resize(eye, (length, target), (0, low, length, high))))
