"""How well anomaly maps show where the defect is: pixel AUROC and AUPRO, exact.

Maps are read twice, one image at a time, and only the defective pixels' scores and a batch of good ones are
held: memory does not grow with the good pixels, so `maps` and `masks` may be lists, arrays or memory maps.
Images may differ in size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adrefine.errors import UserError

Images = Sequence[NDArray] | NDArray
_BATCH = 2**20  # good pixels sorted at once, or one image more


@dataclass(frozen=True)
class _Tally:
    """Pixels by score, the lowest first.

    Slot 2i + 1 is the i-th distinct score of a defective pixel; even slots lie strictly between two of these.
    """

    good: NDArray[np.int64]  # good pixels
    defective: NDArray[np.int64]  # defective pixels
    overlap: NDArray[np.float64]  # the same, each weighing 1 / area of its region
    regions: int


def pixel_auroc(maps: Images, masks: Images) -> float:
    """AUROC over all pixels of all images; a tie counts half.

    Args:
        maps: n anomaly maps (h, w), higher is more suspicious.
        masks: n masks (h, w), nonzero where defective; all zero for a good photo.
    Raises:
        UserError: shapes differ, a NaN in a map, no defective pixel or no good pixel.
    """
    return _pixel_auroc(_tally(maps, masks))


def aupro(maps: Images, masks: Images, max_fpr: float = 0.3) -> float:
    """Area under the per-region-overlap curve up to a pixel false-positive rate of `max_fpr`, scaled to 0..1.

    At each threshold, the share of each defective region that scores over it, averaged over the regions
    (8-connected) of all images, against the share of all good pixels that does (Bergmann et al., IJCV 2021).
    Between two thresholds, and at `max_fpr`, the curve is straight. See `pixel_auroc` for the arguments.
    """
    return _aupro(_tally(maps, masks), max_fpr)


def localization_metrics(
    maps: Images, masks: Images, max_fpr: float = 0.3, inside: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """`pixel_auroc` and `aupro` in one go; empty where no pixel is defective or none is good.

    Args:
        inside: pixels (h, w) that count, where all images have that size; None: all.
    """
    tally = _tally(maps, masks, inside)
    if not tally.regions or not tally.good.any():
        return {}
    return {"pixel_auroc": _pixel_auroc(tally), "aupro": _aupro(tally, max_fpr)}


def _pixel_auroc(tally: _Tally) -> float:
    _need_both(tally, "pixel AUROC")
    return _area(_rise(tally.good), _rise(tally.defective), 1.0)


def _aupro(tally: _Tally, max_fpr: float) -> float:
    if not 0 < max_fpr <= 1:
        raise UserError(f"max_fpr = {max_fpr}: must lie over 0 and up to 1")
    _need_both(tally, "AUPRO")
    return _area(_rise(tally.good), np.minimum(_rise(tally.overlap), 1.0), max_fpr)


def _rise(counts: NDArray) -> NDArray[np.float64]:
    """Share of `counts` at or over each slot, the highest slot first, from 0 to 1."""
    total = np.concatenate([[0], np.cumsum(counts[::-1])])
    return total / total[-1]


def _area(x: NDArray[np.float64], y: NDArray[np.float64], limit: float) -> float:
    """Mean height of the polyline (x, y), both rising, for 0 <= x <= limit."""
    inside = int(np.searchsorted(x, limit, side="right"))
    xs, ys = x[:inside], y[:inside]
    if inside < len(x):
        share = (limit - x[inside - 1]) / (x[inside] - x[inside - 1])
        xs = np.append(xs, limit)
        ys = np.append(ys, y[inside - 1] + share * (y[inside] - y[inside - 1]))
    return min(float(np.sum(np.diff(xs) * (ys[1:] + ys[:-1])) / 2 / limit), 1.0)


def _tally(maps: Images, masks: Images, inside: NDArray[np.bool_] | None = None) -> _Tally:
    if len(maps) != len(masks):
        raise UserError(f"{len(maps)} anomaly maps but {len(masks)} masks")
    if inside is not None:
        masks = [(np.asarray(mask) != 0) & inside for mask in masks]
    scores, weights, regions = _defective_pixels(maps, masks)
    values, index = np.unique(scores, return_inverse=True)
    slots = 2 * len(values) + 1
    good = np.zeros(slots, np.int64)
    for pixels in _good_pixels(maps, masks, inside):
        good += _by_slot(pixels, values)
    defective = np.bincount(2 * index + 1, minlength=slots)
    overlap = np.bincount(2 * index + 1, weights=weights, minlength=slots)
    return _Tally(good, defective, overlap.astype(np.float64), regions)


def _by_slot(pixels: NDArray, values: NDArray) -> NDArray[np.int64]:
    """How many of `pixels`, which are sorted in place, fall into each slot of the distinct `values`.

    Looking each value up among the sorted pixels is many times as fast as each pixel among the values.
    """
    pixels.sort()
    ends = np.zeros(2 * len(values) + 2, np.int64)  # pixels before the end of the slot before
    ends[1:-1:2] = np.searchsorted(pixels, values, side="left")
    ends[2:-1:2] = np.searchsorted(pixels, values, side="right")
    ends[-1] = len(pixels)
    return np.diff(ends)


def _good_pixels(maps: Images, masks: Images, inside: NDArray[np.bool_] | None) -> Iterator[NDArray]:
    """The scores of all good pixels, about _BATCH at a time."""
    waiting: list[NDArray] = []
    for values, mask in _pairs(maps, masks):
        waiting.append(values[~mask if inside is None else ~mask & inside])
        if sum(map(len, waiting)) >= _BATCH:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _defective_pixels(maps: Images, masks: Images) -> tuple[NDArray, NDArray[np.float64], int]:
    """Score and weight (1 / area of its region) of every defective pixel; number of regions."""
    from scipy.ndimage import label

    scores: list[NDArray] = [np.empty(0, np.float32)]
    weights: list[NDArray] = [np.empty(0)]
    regions = 0
    for values, mask in _pairs(maps, masks):
        if not mask.any():
            continue
        region, count = label(mask, structure=np.ones((3, 3)))
        of_pixel = region[mask]
        scores.append(values[mask])
        weights.append(1 / np.bincount(of_pixel)[of_pixel])
        regions += count
    return np.concatenate(scores), np.concatenate(weights), regions


def _pairs(maps: Images, masks: Images) -> Iterator[tuple[NDArray, NDArray[np.bool_]]]:
    for number, (raw_map, raw_mask) in enumerate(zip(maps, masks, strict=True)):
        values, mask = np.asarray(raw_map), np.asarray(raw_mask) != 0
        if values.ndim != 2 or values.shape != mask.shape:
            raise UserError(f"anomaly map {number} is {values.shape} but its mask is {mask.shape}")
        if np.isnan(values).any():
            raise UserError(f"anomaly map {number} has NaN pixels: the detector's training diverged")
        yield values, mask


def _need_both(tally: _Tally, what: str) -> None:
    if not tally.regions:
        raise UserError(f"{what} needs a mask with a defective pixel; there is none")
    if not tally.good.any():
        raise UserError(f"{what} needs good pixels; every pixel is defective")
