"""Large photos in overlapping tiles, put together without seams in bounded memory (EAD chapter 6)."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
from numpy.typing import NDArray

from adrefine.detectors.efficientad.networks import STRIDE

MARGIN = 20  # pixels at a tile's inner edges that see padding instead of the neighbouring pixels


def places(height: int, width: int, tile: int, overlap: float) -> list[tuple[int, int]]:
    """(top, left) of square tiles that cover a photo no smaller than a tile, row by row.

    Neighbours share at least `overlap` of their side and as much as blending needs. All but the last in a row
    or column start at multiples of 4, so that the networks see the same grid in each tile as in the whole.
    """
    step = min(round(tile * (1 - overlap)), tile - 2 * MARGIN - STRIDE) // STRIDE * STRIDE
    tops, lefts = (_starts(length, tile, max(STRIDE, step)) for length in (height, width))
    return [(top, left) for top in tops for left in lefts]


def _starts(length: int, tile: int, step: int) -> list[int]:
    count = ceil((length - tile) / step) + 1
    return [*(step * number for number in range(count - 1)), length - tile]


def blend(
    maps_of: Callable[[int, int], NDArray[np.float32]],
    shape: tuple[int, int],
    tile: int,
    overlap: float,
) -> NDArray[np.float32]:
    """Maps (k, h, w) of a photo of `shape` from those of its tiles, one tile in memory at a time.

    A tile counts for nothing within MARGIN of an edge that is not the photo's, and ever more from there to
    its centre; the weights of all tiles at a pixel add up to 1.

    Args:
        maps_of: (k, tile, tile) of the tile at (top, left).
    """
    height, width = shape
    total: NDArray[np.float32] | None = None
    weights = np.zeros(shape, np.float32)
    for top, left in places(height, width, tile, overlap):
        own = maps_of(top, left)
        if total is None:
            total = np.zeros((len(own), height, width), np.float32)
        weight = np.outer(_ramp(top, height, tile), _ramp(left, width, tile))
        window = (slice(top, top + tile), slice(left, left + tile))
        total[:, *window] += own * weight
        weights[window] += weight
    assert total is not None
    total /= weights
    return total


def _ramp(start: int, length: int, tile: int) -> NDArray[np.float32]:
    """(tile,) weights along one side of a tile that starts at `start` of `length` pixels."""
    place = np.arange(tile)
    before = place - MARGIN + 1 if start else np.full(tile, tile)
    after = tile - place - MARGIN if start + tile < length else np.full(tile, tile)
    return np.clip(np.minimum(before, after), 0, None).astype(np.float32)
