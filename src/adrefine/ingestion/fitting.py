"""Photos and masks brought to the working size: whole, its middle, or turned and cropped to the part."""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.ingestion.affine import Affine, Box
from adrefine.ingestion.decode import Decoded

GAP = 3.0  # of `Image.resize`: it averages pixels first where it shrinks twice as much or more
_NEARLY = 1e-3  # a step this little over a whole number of pixels takes no further sample


def fit(decoded: Decoded, size: int, how: str, is_mask: bool = False) -> Image.Image:
    """Bring an image to `size` x `size` pixels.

    Args:
        decoded: a photo, or a mask, which is then resized without inventing values between 0 and 255.
        how: `stretch`, `letterbox` (whole image, padded with the median colour of its border; masks with 0)
            or `crop` (centre square). Photo and mask of the same size land on the same pixels.
    """
    box, (width, height), corner = geometry(decoded.width, decoded.height, size, how)
    image = decoded.image
    across, down = image.width / decoded.width, image.height / decoded.height
    box = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    if is_mask:
        small = _fit_mask(image, (width, height), box)
    else:
        small = resized(image, (width, height), box, image.width > width or image.height > height)
    if (width, height) == (size, size):
        return small
    canvas = Image.new(small.mode, (size, size), 0 if is_mask else _border_colour(small))
    canvas.paste(small, corner)
    return canvas


def resized(image: Image.Image, size: tuple[int, int], box: Box, shrinks: bool) -> Image.Image:
    """The `box` of a picture as `size` pixels, by the filter for pictures that shrink or that grow."""
    return image.resize(
        size,
        Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC,
        box=box,
        reducing_gap=GAP if shrinks else None,
    )


def transform(width: int, height: int, size: int, how: str) -> Affine:
    """From the `size` x `size` pixels that `fit` makes to those of the photo of `width` x `height`."""
    return Affine.of_box(*geometry(width, height, size, how))


def turn(decoded: Decoded, transform: Affine, size: int) -> Image.Image:
    """A photo brought to `size` x `size` pixels.

    Detail finer than a pixel is averaged; what lies outside the photo gets its border's shade.

    Args:
        transform: from the pixels of the result to those of the photo at its full size.
    """
    image, outside = decoded.image, _border_colour(decoded.image)
    step = min(transform.steps()) * image.width / decoded.width
    if step > 1:
        smaller = max(1, round(image.width / step)), max(1, round(image.height / step))
        image = image.resize(smaller, Image.Resampling.LANCZOS, reducing_gap=3.0)
    from_result = transform.scaled(image.width / decoded.width, image.height / decoded.height)
    across, down = (max(1, ceil(length - _NEARLY)) for length in from_result.steps())
    a, b, c, d, e, f = from_result
    turned = image.transform(
        (size * across, size * down),
        Image.Transform.AFFINE,
        (a / across, b / down, c, d / across, e / down, f),
        Image.Resampling.BICUBIC,
        fillcolor=outside,
    )
    return turned.reduce((across, down))


def turn_mask(decoded: Decoded, transform: Affine, size: int) -> Image.Image:
    """A mask of 0 and 255 brought to `size` x `size` pixels like its photo.

    A pixel takes the nearest value; where a defect would fall apart or be lost, every pixel that it touches.
    """
    near = decoded.image.transform(
        (size, size), Image.Transform.AFFINE, tuple(transform), Image.Resampling.NEAREST, fillcolor=0
    )
    touched = Image.fromarray(
        np.maximum(np.asarray(near), _touched(decoded.image, transform.inverse(), size))
    )
    return near if _regions(near) == _regions(touched) else touched


def _touched(mask: Image.Image, to_result: Affine, size: int) -> npt.NDArray[np.uint8]:
    """(size, size): 255 where the centre of a pixel of the mask that is set goes."""
    rows, columns = np.nonzero(np.asarray(mask))
    places = np.floor(to_result.apply(np.stack([columns + 0.5, rows + 0.5], axis=1))).astype(np.int64)
    inside = places[((places >= 0) & (places < size)).all(axis=1)]
    touched = np.zeros((size, size), dtype=np.uint8)
    touched[inside[:, 1], inside[:, 0]] = 255
    return touched


def geometry(width: int, height: int, size: int, how: str) -> tuple[Box, tuple[int, int], tuple[int, int]]:
    """Box of a photo that is used, size it becomes, and where that goes: from the full size, so that a
    photo decoded smaller still agrees with its mask."""
    box: Box = (0, 0, width, height)
    target, corner = (size, size), (0, 0)
    if how == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = left, top, left + side, top + side
    elif how == "letterbox":
        scale = size / max(width, height)
        target = max(1, round(width * scale)), max(1, round(height * scale))
        corner = (size - target[0]) // 2, (size - target[1]) // 2
    return box, target, corner


def _fit_mask(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    small = image.resize(size, Image.Resampling.NEAREST, box=box)
    if _regions(small) != _regions(image.crop(box)):
        # A crack thinner than the sampling grid fell apart or was lost between its points, and AU-PRO would
        # count each piece as a defect of its own: keep every pixel that it touches.
        numbers = image.convert("F").resize(size, Image.Resampling.BOX, box=box)
        small = Image.fromarray(np.where(np.asarray(numbers) > 0, 255, 0).astype(np.uint8))
    return small


def _regions(mask: Image.Image) -> int:
    """Number of 8-connected regions."""
    if mask.getextrema() == (0, 0):
        return 0
    from scipy.ndimage import label

    return int(label(np.asarray(mask), structure=np.ones((3, 3)))[1])


def _border_colour(image: Image.Image) -> int | tuple[int, ...]:
    values = np.asarray(image)
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    median = np.median(border, axis=0).astype(int)
    return int(median) if median.ndim == 0 else tuple(int(value) for value in median)
