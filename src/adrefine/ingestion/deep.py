"""PNG and PGM/PPM of more than 8 bits a sample, of which Pillow keeps the upper 8 or loses the full scale."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import numpy as np

from adrefine.ingestion.damage import BadPhoto, unread
from adrefine.ingestion.samples import Samples, over_black

_PNG_GREY, _PNG_ALPHA = (0, 4), (4, 6)  # colour types
_PNM = re.compile(rb"(P[56])((?:\s|#[^\n]*\n)+)(\d+)((?:\s|#[^\n]*\n)+)(\d+)((?:\s|#[^\n]*\n)+)(\d+)\s")
_HEADER = 4096  # bytes of a PGM in which the header, comments and all, must end


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
    if kind in _PNG_ALPHA:
        values = over_black(values[..., 0] if kind in _PNG_GREY else values[..., :3], values[..., -1], 65535)
    elif values.ndim == 3:
        values = values[..., 0] if kind in _PNG_GREY else values[..., :3]
    return Samples(values, declared=_significant(data))


def pnm(data: bytes, check_size: Callable[[int, int], None]) -> Samples | None:
    """Values of a binary PGM or PPM whose header names more than 255 as white; None for any other.

    `check_size` is called with width and height before anything is read, and raises.
    """
    match = _PNM.match(data[:_HEADER])
    if match is None or int(match[7]) < 256:
        return None
    width, height, white = int(match[3]), int(match[5]), int(match[7])
    check_size(width, height)
    shape = (height, width, 3) if match[1] == b"P6" else (height, width)
    if white > 65535:
        raise BadPhoto(f"its header names {white} as white, 65535 is the most that a PGM can hold")
    if len(data) - match.end() < 2 * int(np.prod(shape)):
        raise BadPhoto("damaged or truncated: fewer pixels than its header says")
    values = np.frombuffer(data, ">u2", int(np.prod(shape)), match.end()).reshape(shape).astype(np.uint16)
    return Samples(values, full=None if white == 65535 else float(white))


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
