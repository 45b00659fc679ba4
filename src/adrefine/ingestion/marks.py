"""Which pixels of a mask are marked: everything that is not the background.

Masks are drawn by many programs: black and white, class numbers, severities as grey levels, colours of a
palette, paint on a transparent layer. What is not background is a defect. Only the fringes that JPEG (and
smooth scaling) leave around a marked region are not: their levels lie between, in no area of their own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.ingestion.damage import BadPhoto

_HALF = 127  # levels up to this are fringes, unless they fill areas
_AREA = (
    0.5  # share of a level's pixels with alike ones around that makes it an area (MTD's fringes: up to .3)
)
_ALIKE = 3  # neighbours of eight
_FEWEST = 4  # pixels
_FAINT = 8  # JPEG leaves whole blocks of up to this; class numbers as low fill their areas without fringes
_CLEAN = 0.8  # share of alike pixels among all up to _HALF where there are no fringes
_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
Marks = npt.NDArray[np.bool_]


def of_image(image: Image.Image, lossy: bool = False) -> Marks:
    """(h, w), true where a mask of 8 bits marks a defect; `lossy`: it comes from a JPEG.

    Raises:
        BadPhoto: it cannot be told which part is the background.
    """
    if image.mode in _ALPHA or "transparency" in image.info:
        return _of_layer(np.asarray(image.convert("RGBA")))
    if image.mode == "1":
        return _of_grey(np.asarray(image.convert("L")))
    if image.mode == "L":
        return _of_grey(np.asarray(image), lossy)
    return _of_colours(np.asarray(image.convert("RGB")), lossy)


def of_values(values: npt.NDArray[np.generic]) -> Marks:
    """(h, w), true where a mask of more than 8 bits, grey (h, w) or colour (h, w, 3), marks a defect."""
    if values.ndim == 3:
        values = values.max(axis=2)
    return values != _background(values)


def _of_layer(layer: npt.NDArray[np.uint8]) -> Marks:
    """Colours and transparency (h, w, 4): the shape is in one of the two."""
    colours, alpha = layer[..., :3], layer[..., 3]
    if alpha.min() == alpha.max():  # opaque, or an alpha that nobody filled in
        return _of_colours(colours)
    shown = colours[alpha > 0]
    if (shown == shown[0]).all():  # one paint on a clear layer
        return _of_grey(alpha)
    marked = _of_colours(np.where(alpha[..., None] > 0, colours, 0))
    if (shown.max(axis=1) == 0).any() and not (marked == _of_colours(colours)).all():
        raise BadPhoto("its transparency and its colours mark different pixels: save it as black and white")
    return marked


def _of_colours(colours: npt.NDArray[np.uint8], lossy: bool = False) -> Marks:
    """(h, w, 3)."""
    if lossy or (colours == colours[..., :1]).all():
        return _of_grey(colours.max(axis=2), lossy)
    if not (colours == 0).all(axis=2).any():  # no black: the most common colour is the background
        codes = colours.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        return codes != _background(codes)
    return _of_grey(colours.max(axis=2))


def _of_grey(levels: npt.NDArray[np.uint8], lossy: bool = False) -> Marks:
    if levels.max() == 0:
        return levels > 0
    if (
        levels.max() <= _HALF
        or (not lossy and levels.min() > 0)
        or not ((levels > 0) & (levels <= _HALF)).any()
    ):
        return levels != _background(levels)
    return levels > (_HALF if lossy or not _fills_areas(levels) else 0)


def _fills_areas(levels: npt.NDArray[np.uint8]) -> bool:
    """Whether any level between 0 and _HALF fills areas, as classes and severities do and fringes do not."""
    alike = _like_neighbours(levels) >= _ALIKE
    between = (levels > 0) & (levels <= _HALF)
    ground = int(np.bincount(levels.ravel()).argmax())
    if ground <= _FAINT and 4 * np.count_nonzero(levels == 0) < np.count_nonzero(levels == ground):
        between &= levels != ground  # JPEG has made the background a little brighter than black
    if not between.any():
        return False
    clean = alike[between].mean() >= _CLEAN
    counts = np.bincount(levels[between], minlength=256)
    filled = np.bincount(levels[between & alike], minlength=256)
    areas = (counts >= _FEWEST) & (filled >= _AREA * counts)
    return bool(areas[1 if clean else _FAINT + 1 :].any())


def _background(values: npt.NDArray[np.generic]) -> float:
    """0 if it occurs, else the most common value.

    Raises:
        BadPhoto: there is no 0, and no value fills half of the mask.
    """
    if (values == 0).any():
        return 0.0
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) == 1:  # one level other than 0 over the whole photo: all of it is marked
        return 0.0
    if 2 * counts.max() < values.size:
        raise BadPhoto("no part of it is black and no level fills half of it: save it as black and white")
    return float(levels[counts.argmax()])


def _like_neighbours(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(h, w), how many of the eight neighbours have the same level."""
    count = np.zeros(levels.shape, np.int64)
    padded = np.pad(levels.astype(np.int16), 1, constant_values=-1)
    height, width = levels.shape
    for down in range(3):
        for across in range(3):
            count += padded[down : down + height, across : across + width] == levels
    return count - 1
