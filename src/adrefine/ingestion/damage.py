"""Damage that decoders pass over: broken JPEG data that libjpeg only warns of, files whose end is zeros."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import simplejpeg

from adrefine.errors import UserError

_TOLD = ("corrupt jpeg data", "premature end")  # what libjpeg warns of when pixels are wrong
_MOSTLY = 0.9
_OLD_BMP = b"\x0c\0\0\0"  # length of the header of OS/2, laid out otherwise
_BMP = ((10, 14), (18, 22), (22, 26), (28, 30))  # offset of the pixels, width, height, bits a pixel
_PIXEL, _ROOM = 16, 64 * 2**20  # bytes that reading takes: a pixel, and in any case


_NO_MEMORY = re.compile(
    r"out of memory|insufficient memory|(cannot|unable to) allocate|malloc", re.IGNORECASE
)
_SCANS = 100  # of a progressive JPEG: cameras write one, encoders about ten; each goes through all pixels
_SCAN = b"\xff\xda"  # begins a scan; cannot be within one


class BadPhoto(Exception):
    """A photo or mask that cannot be used; the message is the reason, in one line."""


class OutOfMemory(UserError):
    """A photo may be good, but this machine has not the memory to read it."""


def unread(error: Exception, what: str = "damaged or truncated") -> BadPhoto:
    """What a decoder's error says of its photo.

    Raises:
        MemoryError: nothing, there was no memory; decoders have their own words for that.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        raise MemoryError from error
    return BadPhoto(f"{what}: {text.split(' at 0x')[0][:120]}")  # an address would differ from run to run


def without_memory(pixels: int) -> BadPhoto:
    """What it says of a photo that the memory was not enough: nothing, unless it asks for far more than its
    `pixels` need, as a damaged header does.

    Raises:
        OutOfMemory: what the pixels need is not there.
    """
    try:
        np.empty(pixels * _PIXEL + _ROOM, dtype=np.uint8)
    except MemoryError:
        raise OutOfMemory(
            f"not enough memory for its {pixels / 1e6:.0f} megapixels: give this machine or container more, "
            "or set dataset.max_megapixels so that it is set aside"
        ) from None
    return BadPhoto("damaged: it asks for more memory than its pixels need")


def check_scans(data: bytes) -> None:
    """Refuse a progressive JPEG of so many scans that to read it takes minutes."""
    scans = data.count(_SCAN)
    if scans > _SCANS:
        raise BadPhoto(f"a progressive JPEG of {scans} scans: more than {_SCANS} are no photo")


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG that libjpeg reads with a warning about its pixels, which Pillow does not pass on.

    Raises:
        BadPhoto: the data is broken; the rest of the photo would be smeared, shifted or grey.
    """
    try:  # at an eighth of the size: the warnings come from the bits, not from the pixels
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        text = " ".join(str(error).split())
        if _NO_MEMORY.search(text):
            raise MemoryError from error
        if text.lower().startswith(_TOLD):
            raise BadPhoto(f"damaged or truncated: {text[:100]}") from None


def check_zeros(rows: npt.NDArray[np.generic]) -> None:
    """Refuse pixels (h, w[, c]), in the order of the file, in which a run of zeros over more than a row
    begins or ends within one: a copy that was cut short and filled up, or lost a piece. What is dark in a
    photo ends where the part does, not across it. A mask, of zeros and one other value, may have such a band.

    Raises:
        BadPhoto: it looks like that.
    """
    width = rows.shape[1]
    lit = np.concatenate([[True], (rows != 0).reshape(rows.shape[0] * width, -1).any(axis=1), [True]])
    steps = np.flatnonzero(lit[1:] != lit[:-1]).reshape(-1, 2)  # a run of zeros and the lit pixel after it
    lit, size = lit[1:-1], rows.shape[0] * width
    for start, end in steps[steps[:, 1] - steps[:, 0] >= width]:
        if end - start == size:
            return
        torn = [_torn(lit[:start][::-1], start, width), _torn(lit[end:], size - end, width)]
        if all(torn) and (start % width or end % width) and rows[rows != 0].min() < rows.max():
            place = "last" if end == size else "first" if start == 0 else "inner"
            raise BadPhoto(
                f"{(end - start) / size:.0%} of it are zeros, of the {place} rows, from or to the middle of "
                "a row: a piece was lost"
            )


def _torn(beside: npt.NDArray[np.bool_], count: int, width: int) -> bool:
    """Whether the `count` pixels beside a run of zeros, the next one first, are lit for two rows: a run that
    reaches the end of the file has none."""
    if not count:
        return True
    part = count % width
    parts = [beside[:part], beside[part:width], beside[part : part + width]] if part else [beside[:width]]
    return all(one.mean() > _MOSTLY for one in parts if len(one))


def check_length(data: bytes, kind: str | None) -> None:
    """Refuse a file of other length than its header says, in formats that have no check sums: a piece was
    lost or put in, and all pixels behind it are moved.

    Args:
        kind: as Pillow calls it.

    Raises:
        BadPhoto: of another length.
    """
    if kind == "WEBP":
        said = [int.from_bytes(data[4:8], "little") + 8]
        said.append(said[0] + 1)  # a padding byte, counted or not
    elif kind == "BMP" and data[14:18] != _OLD_BMP:
        offset, width, height, bits = (int.from_bytes(data[a:b], "little") for a, b in _BMP)
        height = min(height, 2**32 - height)  # negative: from the top down
        pixels = offset + (width * bits + 31) // 32 * 4 * height
        compressed = any(data[30:34])
        said = [int.from_bytes(data[2:6], "little"), *([] if compressed else range(pixels, pixels + 4))]
    else:
        return
    if len(data) not in said:
        raise BadPhoto(f"damaged or truncated: {len(data)} bytes, its header says {said[0]}")
