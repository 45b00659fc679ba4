"""Which pixels of a mask are marked: everything that is not the background.

Masks are drawn by many programs: black and white, class numbers, severities as grey levels, colours of a
palette, paint on a transparent layer. What is not background is a defect. Only the fringes that smooth
scaling, and JPEG before the mask was saved as something else, leave around a marked region are not: their
levels lie between, in no area of their own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.samples import Samples

_HALF = 127  # levels up to this are fringes, unless they fill areas
_AREA = (
    0.5  # share of a level's pixels with alike ones around that makes it an area (MTD's fringes: up to .3)
)
_ALIKE = 3  # neighbours of eight
_FEWEST = 4  # pixels
_FAINT = 8  # JPEG leaves whole blocks of up to this; class numbers as low fill their areas without fringes
_EDGE = 2  # pixels: what smooth scaling and drawing leave beside a mark
_FAR = 16  # pixels: no fringe reaches so far from what it belongs to
_MANY, _CLASSES = 48, 4  # levels, and those of them apart from all else: a map of scores rather than classes
_FLAT, _CLASS = 6, 9  # a region of a JPEG: levels that its neighbours differ by, pixels; fringes have 2 such
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
    if image.mode == "P":
        return _of_palette(np.asarray(image), np.asarray(image.convert("RGB")))
    if image.mode == "L":
        return _of_grey(np.asarray(image), lossy)
    return _of_colours(np.asarray(image.convert("RGB")), lossy)


def of_samples(samples: Samples) -> Marks:
    """(h, w), true where a mask of more than 8 bits marks a defect; see `of_image`.

    Raises:
        BadPhoto: it has values that are not finite, which may be the background or the mark.
    """
    samples.check()
    values = samples.values if samples.values.ndim == 2 else samples.values.max(axis=2)
    if samples.inverted:
        values = (np.iinfo(values.dtype).max if values.dtype.kind == "u" else values.max()) - values
    if samples.alpha is None:
        return values != _background(values)
    visible = samples.alpha != 0
    return _of_paint(samples.values[visible], values != 0, visible)


def _of_layer(layer: npt.NDArray[np.uint8]) -> Marks:
    """Colours and transparency (h, w, 4): the shape is in one of the two."""
    colours, alpha = layer[..., :3], layer[..., 3]
    if alpha.min() == alpha.max():  # opaque, or an alpha that nobody filled in
        return _of_colours(colours)
    shown = colours[alpha > 0]
    if (shown == shown[0]).all():  # one paint on a clear layer
        return _of_grey(alpha)
    marked = _of_colours(np.where(alpha[..., None] > 0, colours, 0))
    if alpha.min() > 0:
        return marked
    return _of_paint(shown, marked, alpha > 0)


def _of_paint(shown: npt.NDArray[np.generic], coloured: Marks, visible: Marks) -> Marks:
    """What a layer marks of which a part is clear: all that is painted.

    Args:
        shown: (n[, c]), the paint.
        coloured, visible: (h, w), what its colours alone mark, and what is not clear.

    Raises:
        BadPhoto: some of the paint is black, which may be the background or the mark.
    """
    if (shown == shown[0]).all() or (coloured == visible).all():
        return visible
    raise BadPhoto("its transparency and its colours mark different pixels: save it as black and white")


def _of_palette(classes: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8]) -> Marks:
    """Class numbers (h, w) and how they look (h, w, 3).

    Raises:
        BadPhoto: a class looks like the background, or both black and the class 0 may be the background.
    """
    used, first = np.unique(classes, return_index=True)
    looks = colours.reshape(-1, 3)[first]
    if len(used) > 1 and (looks == looks[0]).all():  # numbers alone
        return classes != _background(classes)
    marked = _of_colours(colours)
    clear = np.unique(classes[~marked])
    if len(clear) > 1:
        raise BadPhoto(
            f"its classes {clear[0]} and {clear[1]} have the colour of the background: save it as black and "
            "white"
        )
    grey = (looks == looks[:, :1]).all()
    if not grey and used[0] == 0 and len(clear) and clear[0] and 2 * np.count_nonzero(marked) > marked.size:
        raise BadPhoto("black is no class 0 in it, and not the most of it: save it as black and white")
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
    if lossy:
        return _of_jpeg(levels)
    between = (levels > 0) & (levels <= _HALF)
    if levels.max() <= _HALF or levels.min() > 0 or not between.any():
        return levels != _background(levels)
    if _fills_areas(levels):
        return levels > 0
    apart = between & (_far(levels) | _no_fringe(levels, between))
    if len(np.unique(levels[apart])) > _CLASSES and len(np.unique(levels)) > _MANY:
        raise BadPhoto("a map of many levels, not a mask: save what is a defect as black and white")
    return (levels > _HALF) | apart


def _of_jpeg(levels: npt.NDArray[np.uint8]) -> Marks:
    """From half of the faintest region on; what is fainter is noise around the edges.

    Raises:
        BadPhoto: all of it is as faint as that noise.
    """
    top = int(levels.max())
    if top <= 2 * _FAINT:
        raise BadPhoto(f"a JPEG whose levels end at {top} is all noise: save it as PNG")
    faint = levels[(levels > _FAINT) & (_spread(levels) <= _FLAT)]
    classes = faint[faint <= min(_HALF, top // 2)]
    half = int(classes.min()) // 2 if len(classes) >= _CLASS else min(_HALF, top // 2)
    return levels > half


def _spread(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """(h, w), by how many levels a pixel and its eight neighbours differ."""
    padded = np.pad(levels.astype(np.int16), 1, mode="edge")
    height, width = levels.shape
    near = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    spread: npt.NDArray[np.int16] = np.maximum.reduce(near) - np.minimum.reduce(near)
    return spread


def _far(levels: npt.NDArray[np.uint8]) -> Marks:
    """(h, w), true where nothing above _HALF is within _FAR pixels: what is there is no fringe. Levels of a
    background that JPEG made brighter than black are not."""
    height, width = levels.shape
    padded = np.pad(levels > _HALF, ((0, -height % _FAR), (0, -width % _FAR)))
    blocks = padded.reshape(padded.shape[0] // _FAR, _FAR, -1, _FAR).any(axis=(1, 3))
    around = np.pad(blocks, 1)
    down, across = blocks.shape
    near = np.logical_or.reduce([around[y : y + down, x : x + across] for y in range(3) for x in range(3)])
    far: Marks = ~near.repeat(_FAR, axis=0).repeat(_FAR, axis=1)[:height, :width]
    ground = int(np.bincount(levels.ravel()).argmax())
    return far & (levels > (_FAINT if ground else 0))


def _no_fringe(levels: npt.NDArray[np.uint8], between: Marks) -> Marks:
    """(h, w), true where what is not next to a mark has a level that JPEG did not leave there: its noise has
    all levels from 1 to some, and as many below the brightest."""
    away: Marks = between & ~_dilated(levels > _HALF, _EDGE)
    noise = 0
    for level in np.unique(levels[away]).tolist():
        if level - noise > max(_FAINT, noise):
            break
        noise = level
    top = int(levels.max())
    noisy = ((levels < top) & (levels >= top - noise)).any()
    return away & (levels > (noise if noisy else 0))


def _dilated(marks: Marks, pixels: int) -> Marks:
    """(h, w), true within so many pixels of a mark."""
    height, width = marks.shape
    for _ in range(pixels):
        padded = np.pad(marks, 1)
        marks = np.logical_or.reduce(
            [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
        )
    return marks


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
