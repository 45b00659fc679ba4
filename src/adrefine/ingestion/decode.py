"""One photo or mask, from the bytes of its file to the working size.

The bytes are somebody's data, not to be trusted: a decoder may raise anything, a header may announce a
picture larger than the memory, an `.png` may be a PostScript program. Whatever cannot be read becomes a
`BadPhoto` with one line of reason. Photos of more than 8 bits stay as they are until the scale of the whole
set is known (`scales`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine import io
from adrefine.datasets.formats import FORMATS, make_ready, name_of
from adrefine.ingestion import coded, damage, deep, jpeg, marks, scales, tiff
from adrefine.ingestion.damage import BadPhoto, Unread, need_memory, unread, without_memory
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
_ROWS = 256  # of a picture that are converted at a time
Gate = Callable[[int, int], None]
_UNPACKED = ("BMP", "PPM", "TIFF")  # formats whose pixels a copy that was cut short leaves as zeros


@dataclass(frozen=True)
class Decoded:
    """An upright image; `image` may be smaller than `width` x `height` (pixels) if a smaller one was
    enough."""

    image: Image.Image
    width: int
    height: int


def read(
    data: bytes, max_megapixels: float, at_least: int | None = None, gate: Gate | None = None
) -> Decoded | Samples:
    """Decode a photo upright, the first full-size frame of several: to 8 bits, mode L or RGB, transparency
    over black; or, if it holds more than 8 bits, to its values.

    Args:
        data: content of the file.
        max_megapixels: larger photos are refused before their pixels are decoded.
        at_least: pixels a side that are enough: lets the JPEG decoder skip detail that resizing would drop.
        gate: is called with width and height before the pixels are decoded, and may wait.

    Raises:
        BadPhoto: unreadable, truncated, empty, too large, too small, of a kind that would come out wrong.
        OutOfMemory: whatever it is, there is not the memory to read it.
    """
    with _enough_memory(data, max_megapixels):
        decoded = _decode(data, max_megapixels, at_least, gate)
        if isinstance(decoded, Samples):
            return decoded
        try:
            return Decoded(_to_8_bit(decoded.image), decoded.width, decoded.height)
        except BadPhoto:
            raise
        except Exception as error:
            raise unread(error, f"colour mode {decoded.image.mode} cannot be converted") from None


@contextmanager
def _enough_memory(data: bytes, max_megapixels: float) -> Iterator[None]:
    """What a decoder cannot read in the block is damaged only if there was the memory to read it.

    Raises:
        OutOfMemory: there was not.
    """
    try:
        yield
    except MemoryError:
        raise without_memory(_pixels(data)) from None
    except Unread:
        need_memory(int(min(_pixels(data), max_megapixels * 1e6)))
        raise


def of_image(image: Image.Image) -> Decoded | Samples:
    """As `read`, of a picture of Pillow."""
    decoded = _upright(image, *image.size)
    return (
        decoded
        if isinstance(decoded, Samples)
        else Decoded(_to_8_bit(decoded.image), decoded.width, decoded.height)
    )


def photo(data: bytes, max_megapixels: float, at_least: int | None = None) -> Decoded:
    """`read`, with photos of more than 8 bits on the scale that they alone would get."""
    decoded = read(data, max_megapixels, at_least)
    if isinstance(decoded, Decoded):
        return decoded
    levels = decoded.levels()
    return on_scale(decoded, scales.of(levels, scales.choose({"": levels})))


def on_scale(samples: Samples, scale: scales.Scale) -> Decoded:
    """Values in 8 bits."""
    image = samples.grey(scale)
    return Decoded(image, image.width, image.height)


def mask(data: bytes, max_megapixels: float, gate: Gate | None = None) -> Decoded:
    """Decode a mask: mode L, 255 where the photo is defective, else 0; see `marks`, and `read`."""
    with _enough_memory(data, max_megapixels):
        decoded = _decode(data, max_megapixels, None, gate)
        if isinstance(decoded, Samples):
            marked = marks.of_samples(decoded)
        else:
            marked = marks.of_image(decoded.image, lossy=data[:2] == _JPEG)
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


def _over_black(clear: Image.Image) -> Image.Image:
    """An RGBA image over black, a few rows at a time: whole, it would be in memory four times."""
    made = Image.new("RGB", clear.size)
    for top in range(0, clear.height, _ROWS):
        rows = clear.crop((0, top, clear.width, min(top + _ROWS, clear.height)))
        black = Image.new("RGBA", rows.size, (0, 0, 0, 255))
        made.paste(Image.alpha_composite(black, rows).convert("RGB"), (0, top))
    return made


def png(image: Image.Image) -> bytes:
    """The image as PNG, compressed for speed."""
    return io.png(np.asarray(image))


def _decode(data: bytes, max_megapixels: float, at_least: int | None, gate: Gate | None) -> Decoded | Samples:
    """Header, limits, pixels, orientation."""
    if not data:
        raise BadPhoto("the file is empty (0 bytes)")

    def check(width: int, height: int) -> None:
        check_size(width, height, max_megapixels)
        if gate is not None:
            gate(width, height)

    samples = tiff.read(data, check) if tiff.is_one(data) else deep.read(data, check)
    if samples is not None:
        damage.check_zeros(samples.values)
        return _narrowed(samples)
    make_ready()
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except MemoryError:
        raise
    except Exception:
        raise Unread(name_of(data)) from None
    check(*image.size)
    try:
        return _load(image, data, at_least)
    except BadPhoto:
        raise
    except Exception as error:
        raise unread(error) from None


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
    coded.check(data, image.format)
    if data[:2] == _JPEG:
        jpeg.check_scans(data)
    image.load()
    if data[:2] == _JPEG:
        jpeg.check(data)
    if image.format in _UNPACKED:
        rows = np.asarray(image.convert("RGB") if image.mode == "P" else image)
        damage.check_zeros(rows[::-1] if image.format == "BMP" else rows)
    return _upright(image, width, height)


def _upright(image: Image.Image, width: int, height: int) -> Decoded | Samples:
    """A loaded picture, of a photo of that size before it is turned."""
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
    """What has 8 bits or less, in a frame that Pillow does not get at, needs no scale of the set."""
    if samples.values.dtype != np.uint8:
        return samples
    return on_scale(samples, scales.Scale(0, samples.full or 255))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # a photo with good pixels is not lost over broken EXIF data
        return 1


def _pixels(data: bytes) -> int:
    """By the header alone; 0 if it says nothing. Some decoders read one only where the pixels have room."""
    try:
        width, height = Image.open(BytesIO(data), formats=FORMATS).size
        return width * height
    except Exception:
        return coded.pixels(data)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Mode L or RGB; transparency over black, unless it is the same all over and so says nothing, as 0 that
    nobody filled in.

    Raises:
        BadPhoto: transparent all over, without colours behind.
    """
    mode = image.mode
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        clear = image if mode == "RGBA" else image.convert("RGBA")
        least, most = clear.getchannel("A").getextrema()
        if least != most:
            return _over_black(clear)
        plain = clear.convert("RGB")
        if most == 0 and not np.asarray(plain).any():
            raise BadPhoto("transparent all over, and its colours are lost")
        return plain
    if mode in ("L", "1"):
        return image.convert("L")
    return image.convert("RGB")
