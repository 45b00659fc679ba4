"""One photo or mask, from the bytes of its file to the working size.

The bytes are somebody's data, not to be trusted: a decoder may raise anything, a header may announce a
picture larger than the memory, an `.png` may be a PostScript program. Whatever cannot be read becomes a
`BadPhoto` with one line of reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.datasets.formats import FORMATS

# Pillow's own limit cannot be set per dataset; ours is checked from the header instead.
Image.MAX_IMAGE_PIXELS = None

SMALLEST = 8  # pixels: a shorter side holds no part
THUMBNAIL = 16  # side of the thumbnail that near duplicates are looked for with
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation
_ORIENTATION = 0x0112
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


class BadPhoto(Exception):
    """A photo or mask that cannot be used; the message is the reason, in one line."""


@dataclass(frozen=True)
class Decoded:
    """An upright image; `image` may be smaller than `width` x `height` (pixels) if a smaller one was
    enough."""

    image: Image.Image
    width: int
    height: int


def photo(data: bytes, max_megapixels: float, at_least: int | None = None) -> Decoded:
    """Decode a photo to 8 bits, mode L or RGB, upright, transparency over black, the first frame of several.

    Args:
        data: content of the file.
        max_megapixels: larger photos are refused before their pixels are decoded.
        at_least: pixels a side that are enough: lets the JPEG decoder skip detail that resizing would drop.

    Raises:
        BadPhoto: unreadable, truncated, empty, too large, too small.
    """
    decoded = _decode(data, max_megapixels, at_least)
    try:
        return Decoded(_to_8_bit(decoded.image), decoded.width, decoded.height)
    except BadPhoto:
        raise
    except Exception as error:
        raise BadPhoto(f"colour mode {decoded.image.mode} cannot be converted: {_reason(error)}") from None


def mask(data: bytes, max_megapixels: float) -> Decoded:
    """Decode a mask: mode L, 255 where the photo is defective, else 0.

    A mask that reaches the upper half of the range is cut there, which drops the ringing that JPEG once left
    in it (MTD); a darker one holds label numbers, and every number but 0 is a defect, as in masks of more
    than 8 bits.
    """
    found = _decode(data, max_megapixels, None)
    if _is_wide(found.image.mode):
        values = np.asarray(found.image) != 0
    else:
        levels = np.asarray(_to_8_bit(found.image))
        levels = levels if levels.ndim == 2 else levels.max(axis=2)
        values = levels > (127 if levels.max() > 127 else 0)
    return Decoded(Image.fromarray(np.where(values, 255, 0).astype(np.uint8)), found.width, found.height)


def check_size(width: int, height: int, max_megapixels: float) -> None:
    """Refuse a photo by its size in pixels alone.

    Raises:
        BadPhoto: smaller than SMALLEST on a side, or more than `max_megapixels` million pixels.
    """
    if min(width, height) < SMALLEST:
        raise BadPhoto(f"{width}x{height} pixels: too small, {SMALLEST} a side are needed")
    if width * height > max_megapixels * 1e6:
        raise BadPhoto(f"{width}x{height} pixels: more than dataset.max_megapixels = {max_megapixels:g}")


def fit(decoded: Decoded, size: int, how: str, is_mask: bool = False) -> Image.Image:
    """Bring an image to `size` x `size` pixels.

    Args:
        decoded: a photo, or a mask, which is then resized without inventing values between 0 and 255.
        how: `stretch`, `letterbox` (whole image, padded with the median colour of its border; masks with 0)
            or `crop` (centre square). Photo and mask of the same size land on the same pixels.
    """
    box, (width, height), corner = _geometry(decoded, size, how)
    image = decoded.image
    if is_mask:
        small = _fit_mask(image, (width, height), box)
    else:
        shrinks = image.width > width or image.height > height
        small = image.resize(
            (width, height),
            Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC,
            box=box,
            reducing_gap=3.0 if shrinks else None,
        )
    if (width, height) == (size, size):
        return small
    canvas = Image.new(small.mode, (size, size), 0 if is_mask else _border_colour(small))
    canvas.paste(small, corner)
    return canvas


def as_grey(image: Image.Image) -> Image.Image:
    """Mode L if all channels are equal, else the image as it is (RGB)."""
    if image.mode == "L":
        return image
    values = np.asarray(image)
    same = (values[..., 0] == values[..., 1]).all() and (values[..., 0] == values[..., 2]).all()
    return image.getchannel(0) if same else image


def thumbnail(image: Image.Image) -> npt.NDArray[np.float16]:
    """The image as THUMBNAIL² grey values: mean 0, norm 1, so brightness and contrast drop out; 0 for a flat
    image.

    Returns:
        (THUMBNAIL²,) float16.
    """
    grey = image.convert("L").convert("F").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float64).ravel()
    values = values - values.mean()
    norm = np.linalg.norm(values)
    if norm < 0.5 * THUMBNAIL:  # standard deviation under half a grey level: noise of an empty photo
        return np.zeros(values.size, dtype=np.float16)
    return (values / norm).astype(np.float16)


def png(image: Image.Image) -> bytes:
    """The image as PNG, compressed for speed."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _decode(data: bytes, max_megapixels: float, at_least: int | None) -> Decoded:
    """Header, limits, pixels, orientation."""
    if not data:
        raise BadPhoto("the file is empty (0 bytes)")
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception:
        raise BadPhoto(f"not an image ({', '.join(FORMATS)}), or cut off in its header") from None
    width, height = image.size
    check_size(width, height, max_megapixels)
    try:
        if image.format == "PNG":
            image.verify()  # the check sums, which decoding alone ignores; leaves the image unusable
            image = Image.open(BytesIO(data), formats=FORMATS)
        if at_least:
            image.draft(
                None, (2 * at_least, 2 * at_least)
            )  # twice: the last halving is for the better filter
        image.load()
    except Exception as error:
        raise BadPhoto(f"damaged or truncated: {_reason(error)}") from None
    turn = _UPRIGHT.get(_orientation(image))
    if turn is None:
        return Decoded(image, width, height)
    swaps = turn not in (_UPRIGHT[2], _UPRIGHT[3], _UPRIGHT[4])
    return Decoded(image.transpose(turn), *((height, width) if swaps else (width, height)))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo with good pixels is not lost over broken EXIF data
        return 1


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(" at 0x")[0][:120]  # an address in memory would differ from run to run


def _to_8_bit(image: Image.Image) -> Image.Image:
    mode = image.mode
    if _is_wide(mode):
        return _grey_from_numbers(np.asarray(image), is_float=mode == "F")
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        black = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, clear).convert("RGB")
    if mode in ("L", "1"):
        return image.convert("L")
    return image.convert("RGB")


def _is_wide(mode: str) -> bool:
    return mode == "F" or mode.startswith("I")


def _grey_from_numbers(values: npt.NDArray[np.generic], is_float: bool) -> Image.Image:
    """16 bits are divided by 257; floats are taken as 0 to 1, 0 to 255 or 0 to 65535, by their largest
    value."""
    numbers: npt.NDArray[np.float32] = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise BadPhoto("has pixels that are infinite or not a number")
    largest = float(numbers.max())
    if not is_float or largest > 255:
        numbers /= 257
    elif largest <= 1:
        numbers *= 255
    return Image.fromarray(np.clip(np.rint(numbers), 0, 255).astype(np.uint8))


def _geometry(decoded: Decoded, size: int, how: str) -> tuple[Box, tuple[int, int], tuple[int, int]]:
    """Box of the image that is used, size it becomes, and where that goes: from the full size, so that a
    photo decoded smaller still agrees with its mask."""
    width, height = decoded.width, decoded.height
    left, top, right, bottom = 0, 0, width, height
    target, corner = (size, size), (0, 0)
    if how == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        right, bottom = left + side, top + side
    elif how == "letterbox":
        scale = size / max(width, height)
        target = max(1, round(width * scale)), max(1, round(height * scale))
        corner = (size - target[0]) // 2, (size - target[1]) // 2
    across, down = decoded.image.width / width, decoded.image.height / height
    return (left * across, top * down, right * across, bottom * down), target, corner


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
