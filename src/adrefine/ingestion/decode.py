"""One photo or mask, from the bytes of its file to the working size.

The bytes are somebody's data, not to be trusted: a decoder may raise anything, a header may announce a
picture larger than the memory, an `.png` may be a PostScript program. Whatever cannot be read becomes a
`BadPhoto` with one line of reason. Photos of more than 8 bits stay as they are until the scale of the whole
set is known (`scales`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.datasets.formats import FORMATS, name_of
from adrefine.ingestion import damage, deep, marks, scales, tiff
from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.samples import Samples

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
_JPEG = b"\xff\xd8"  # first bytes
_UNPACKED = ("BMP", "PPM", "TIFF")  # formats whose pixels a copy that was cut short leaves as zeros
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class Decoded:
    """An upright image; `image` may be smaller than `width` x `height` (pixels) if a smaller one was
    enough."""

    image: Image.Image
    width: int
    height: int


def read(data: bytes, max_megapixels: float, at_least: int | None = None) -> Decoded | Samples:
    """Decode a photo upright, the first full-size frame of several: to 8 bits, mode L or RGB, transparency
    over black; or, if it holds more than 8 bits, to its values.

    Args:
        data: content of the file.
        max_megapixels: larger photos are refused before their pixels are decoded.
        at_least: pixels a side that are enough: lets the JPEG decoder skip detail that resizing would drop.

    Raises:
        BadPhoto: unreadable, truncated, empty, too large, too small, of a kind that would come out wrong.
    """
    found = _decode(data, max_megapixels, at_least)
    if isinstance(found, Samples):
        return found
    try:
        return Decoded(_to_8_bit(found.image), found.width, found.height)
    except BadPhoto:
        raise
    except Exception as error:
        raise BadPhoto(f"colour mode {found.image.mode} cannot be converted: {_reason(error)}") from None


def photo(data: bytes, max_megapixels: float, at_least: int | None = None) -> Decoded:
    """`read`, with photos of more than 8 bits on the scale that they alone would get."""
    found = read(data, max_megapixels, at_least)
    if isinstance(found, Decoded):
        return found
    levels = found.levels()
    return on_scale(found, scales.of(levels, scales.choose({"": levels})))


def on_scale(samples: Samples, scale: scales.Scale) -> Decoded:
    """Values in 8 bits."""
    image = samples.grey(scale)
    return Decoded(image, image.width, image.height)


def mask(data: bytes, max_megapixels: float) -> Decoded:
    """Decode a mask: mode L, 255 where the photo is defective, else 0; see `marks`."""
    found = _decode(data, max_megapixels, None)
    if isinstance(found, Samples):
        marked = marks.of_values(found.values)
    else:
        marked = marks.of_image(found.image, lossy=data[:2] == _JPEG)
    return Decoded(
        Image.fromarray(np.where(marked, 255, 0).astype(np.uint8)), marked.shape[1], marked.shape[0]
    )


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


def _decode(data: bytes, max_megapixels: float, at_least: int | None) -> Decoded | Samples:
    """Header, limits, pixels, orientation."""
    if not data:
        raise BadPhoto("the file is empty (0 bytes)")
    check = partial(check_size, max_megapixels=max_megapixels)
    samples = tiff.read(data, check) if tiff.is_one(data) else deep.pnm(data, check)
    if samples is not None:
        damage.check_end(samples.values)
        return _narrowed(samples)
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception:
        raise BadPhoto(name_of(data)) from None
    check(*image.size)
    try:
        return _load(image, data, at_least)
    except BadPhoto:
        raise
    except Exception as error:
        raise BadPhoto(f"damaged or truncated: {_reason(error)}") from None


def _load(image: Image.Image, data: bytes, at_least: int | None) -> Decoded | Samples:
    """The pixels of what Pillow has opened."""
    width, height = image.size
    if image.format == "PNG":
        image.verify()  # the check sums, which decoding alone ignores; leaves the image unusable
        image = Image.open(BytesIO(data), formats=FORMATS)
        if (samples := deep.png(data)) is not None:
            return samples.turned(_orientation(image))
    if at_least:
        image.draft(None, (2 * at_least, 2 * at_least))  # twice: the last halving is for the better filter
    image.load()
    if data[:2] == _JPEG:
        damage.check_jpeg(data)
    if image.format in _UNPACKED:
        rows = np.asarray(image.convert("RGB") if image.mode == "P" else image)
        damage.check_end(rows[::-1] if image.format == "BMP" else rows)
    orientation = _orientation(image)
    if image.mode == "F" or image.mode.startswith("I"):
        plain = 65535.0 if image.format == "PPM" and image.mode == "I" else None  # spread so by Pillow
        return Samples(np.asarray(image), full=plain).turned(orientation)
    turn = _UPRIGHT.get(orientation)
    if turn is None:
        return Decoded(image, width, height)
    swaps = turn not in (_UPRIGHT[2], _UPRIGHT[3], _UPRIGHT[4])
    return Decoded(image.transpose(turn), *((height, width) if swaps else (width, height)))


def _narrowed(samples: Samples) -> Decoded | Samples:
    """What has 8 bits after all, in a frame that Pillow does not get at, needs no scale."""
    return on_scale(samples, scales.EIGHT_BIT) if samples.values.dtype == np.uint8 else samples


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo with good pixels is not lost over broken EXIF data
        return 1


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(" at 0x")[0][:120]  # an address in memory would differ from run to run


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Mode L or RGB; transparency over black, unless nobody filled it in and it is 0 everywhere."""
    mode = image.mode
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        if clear.getchannel("A").getextrema() == (0, 0):
            return clear.convert("RGB")
        black = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, clear).convert("RGB")
    if mode in ("L", "1"):
        return image.convert("L")
    return image.convert("RGB")


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
