"""PNG, PGM/PPM and JPEG 2000 of more than 8 bits a sample, of which Pillow keeps the upper 8 or loses the
full scale."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from adrefine.ingestion import coded
from adrefine.ingestion.damage import BadPhoto, unread
from adrefine.ingestion.samples import Samples, over_black, shape_of

_PNG_GREY, _PNG_ALPHA = (0, 4), (4, 6)  # colour types
_PNM = re.compile(rb"(P[2356])((?:\s|#[^\n]*\n)+)(\d+)((?:\s|#[^\n]*\n)+)(\d+)((?:\s|#[^\n]*\n)+)(\d+)\s")
_HEADER = 4096  # bytes of a PGM in which the header, comments and all, must end
_COMMENT = re.compile(rb"#[^\n]*")
_BOX, _SIZ = b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"  # how JPEG 2000 begins: a file, its stream of data
_SIZES = struct.Struct(">HH8IHB")  # after the latter: length, profile, sizes and offsets, channels, bits
Check = Callable[[int, int], None]


def read(data: bytes, check_size: Check) -> Samples | None:
    """Values of a PGM, PPM or JPEG 2000 of more than 8 bits; None for any other, and for PNG: see `png`.

    `check_size` is called with width and height before anything is read, and raises.
    """
    return pnm(data, check_size) or jpeg2000(data, check_size)


def png(data: bytes) -> Samples | None:
    """Values of a PNG with 16 bits a sample; None for any other. Its check sums must be known to hold.

    The chunk sBIT says how many of the bits count: the standard wants values spread over all 16 all the same,
    cameras' software often writes them as they are.
    """
    if len(data) < 33 or data[24] != 16:
        return None
    import imagecodecs

    try:
        values = np.asarray(imagecodecs.png_decode(data))
    except Exception as error:
        raise unread(error) from None
    kind = data[25]
    alpha = shape_of(values[..., -1]) if kind in _PNG_ALPHA else None
    if kind in _PNG_ALPHA:
        values = over_black(values[..., 0] if kind in _PNG_GREY else values[..., :3], alpha, 65535)
    elif values.ndim == 3:
        values = values[..., 0] if kind in _PNG_GREY else values[..., :3]
    return Samples(values, declared=_significant(data), alpha=alpha)


def pnm(data: bytes, check_size: Check) -> Samples | None:
    """Values of a PGM or PPM, binary or in digits, whose header names more than 255 as white; None for any
    other. `check_size`: see `read`."""
    match = _PNM.match(data[:_HEADER])
    if match is None or int(match[7]) < 256:
        return None
    width, height, white = int(match[3]), int(match[5]), int(match[7])
    check_size(width, height)
    shape = (height, width, 3) if match[1] in (b"P3", b"P6") else (height, width)
    if white > 65535:
        raise BadPhoto(f"its header names {white} as white, 65535 is the most that a PGM can hold")
    count = int(np.prod(shape))
    if len(data) - match.end() < 2 * count - 1:  # as many bytes, or digits and what parts them
        raise BadPhoto("damaged or truncated: fewer pixels than its header says")
    if match[1] in (b"P2", b"P3"):
        values = _in_digits(data[match.end() :], count, white)
    else:
        values = np.frombuffer(data, ">u2", count, match.end()).astype(np.uint16)
    return Samples(values.reshape(shape), full=None if white == 65535 else float(white))


def _in_digits(text: bytes, count: int, white: int) -> npt.NDArray[np.uint16]:
    try:
        numbers = np.array(_COMMENT.sub(b"", text).split(maxsplit=count)[:count], dtype=np.uint64)
    except (ValueError, OverflowError):
        raise BadPhoto("damaged: not all of its pixels are numbers") from None
    if len(numbers) < count or numbers.max() > white:
        raise BadPhoto("damaged or truncated: fewer pixels than its header says, or brighter ones")
    return numbers.astype(np.uint16)


def jpeg2000(data: bytes, check_size: Check) -> Samples | None:
    """Values of a JPEG 2000 of more than 8 bits or with a sign; None for any other. `check_size`: see `read`.

    Marker SIZ: ISO/IEC 15444-1, A.5.1.
    """
    start = data.find(_SIZ) + len(_SIZ)
    if not data.startswith((_BOX, _SIZ)) or len(data) < start + _SIZES.size:
        return None
    _, _, right, below, left, above, *_, channels, depth = _SIZES.unpack_from(data, start)
    bits, signed = (depth & 0x7F) + 1, depth >> 7
    if data.find(_SIZ) < 0 or (bits <= 8 and not signed):
        return None
    check_size(right - left, below - above)
    coded.check(data, "JPEG2000")
    import imagecodecs

    try:
        values = np.asarray(imagecodecs.jpeg2k_decode(data))
    except Exception as error:
        raise unread(error) from None
    alpha = shape_of(values[..., -1]) if channels in (2, 4) and values.ndim == 3 else None
    if values.ndim == 3:
        full = float(2**bits - 1)
        values = over_black(values[..., 0] if channels < 3 else values[..., :3], alpha, full)
    return Samples(values, float(2**bits - 1) if bits < 16 and not signed else None, alpha=alpha)


def _significant(data: bytes) -> float | None:
    """White by the chunk sBIT, which comes before the pixels."""
    place = 8
    while place + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        if name == b"sBIT" and length:
            return float(2 ** max(data[place + 8 : place + 8 + length]) - 1)
        if name == b"IDAT":
            return None
        place += 12 + length
    return None
