"""Damage in formats without check sums that decoders pass over: told by the bytes, not by the pixels."""

from __future__ import annotations

import re
from io import BytesIO

from PIL import Image

from adrefine.ingestion.damage import BadPhoto

_OLD_BMP = b"\x0c\0\0\0"  # length of the header of OS/2, laid out otherwise
_BMP = ((10, 14), (18, 22), (22, 26), (28, 30))  # offset of the pixels, width, height, bits a pixel
_ZEROS = re.compile(rb"\0{64,}")  # good files have up to 16: what is coded looks like noise
_PIXELS = (b"VP8 ", b"VP8L")  # parts of a WebP
_STREAM = b"\xff\x4f\xff\x51"  # how the data of a JPEG 2000 begins
_NEEDED = 6  # bytes: without its last ones no WebP can be decoded, 4 at most
_HEADER = 2**16  # bytes: a HEIF says its sizes before its pixels


def check(data: bytes, kind: str | None) -> None:
    """Refuse a file that does not end where its data does.

    Args:
        kind: as Pillow calls it.

    Raises:
        BadPhoto: of another length than its header says (a piece was lost or put in, and all pixels behind it
            are moved); with zeros where its data should be; or with an end that nothing needs, so that what
            comes before it is not what was written.
    """
    if kind == "WEBP":
        check_length(data, *_said_by_webp(data))
        if _decodes_without_end(data):
            raise BadPhoto("damaged: its data ends before its file does")
    elif kind == "BMP" and data[14:18] != _OLD_BMP:
        check_length(data, *_said_by_bmp(data))
    elif kind == "JPEG2000":
        check_zeros(data[max(0, data.find(_STREAM)) :])


def pixels(data: bytes) -> int:
    """How many pixels the header of a WebP or HEIF says; 0 for others, and where it says nothing.

    WebP: RFC 9649, sections 2.5 to 2.7. HEIF: the largest `ispe` box (ISO/IEC 23008-12, 6.5.3).
    """
    if data[:4] == b"RIFF":
        width, height = _size_of_webp(data)
        return width * height
    if data[4:8] == b"ftyp":
        boxes = [data[at.end() : at.end() + 12] for at in re.finditer(b"ispe", data[:_HEADER])]
        sizes = [(int.from_bytes(box[4:8], "big"), int.from_bytes(box[8:12], "big")) for box in boxes]
        return max((width * height for width, height in sizes), default=0)
    return 0


def _size_of_webp(data: bytes) -> tuple[int, int]:
    def number(start: int, end: int) -> int:
        return int.from_bytes(data[start:end], "little")

    kind = data[12:16]
    if kind == b"VP8X":
        return number(24, 27) + 1, number(27, 30) + 1
    if kind == b"VP8L":
        return (number(21, 25) & 0x3FFF) + 1, (number(21, 25) >> 14 & 0x3FFF) + 1
    return (number(26, 28) & 0x3FFF, number(28, 30) & 0x3FFF) if kind == b"VP8 " else (0, 0)


def check_zeros(data: bytes) -> None:
    """Refuse coded data with a row of zeros: a copy that was cut short and filled up, or lost a piece.

    Raises:
        BadPhoto: it has one.
    """
    if found := _ZEROS.search(data):
        raise BadPhoto(f"damaged: {len(found[0])} bytes of its data are zeros: a piece was lost")


def check_length(data: bytes, *said: int) -> None:
    """Refuse a file of another length than one of those."""
    if len(data) not in said:
        raise BadPhoto(f"damaged or truncated: {len(data)} bytes, its header says {said[0]}")


def _said_by_webp(data: bytes) -> tuple[int, int]:
    said = int.from_bytes(data[4:8], "little") + 8
    return said, said + 1  # a padding byte, counted or not


def _said_by_bmp(data: bytes) -> list[int]:
    offset, width, height, bits = (int.from_bytes(data[a:b], "little") for a, b in _BMP)
    height = min(height, 2**32 - height)  # negative: from the top down
    pixels = offset + (width * bits + 31) // 32 * 4 * height
    compressed = any(data[30:34])
    return [int.from_bytes(data[2:6], "little"), *([] if compressed else range(pixels, pixels + 4))]


def _decodes_without_end(data: bytes) -> bool:
    """Whether a WebP of one picture can be read without its last bytes."""
    shorter = _without_end(data)
    if shorter is None:
        return False
    try:
        with Image.open(BytesIO(shorter), formats=("WEBP",)) as image:
            image.load()
    except MemoryError:
        raise
    except Exception:
        return False
    return True


def _without_end(data: bytes) -> bytes | None:
    """A WebP with fewer bytes of pixels; None where they are not found."""
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        start, end = place + 8, place + 8 + size
        if name in _PIXELS and size > _NEEDED:
            kept = size - _NEEDED
            pixels = name + kept.to_bytes(4, "little") + data[start : start + kept] + bytes(kept % 2)
            whole = data[8:place] + pixels + data[end + size % 2 :]
            return data[:4] + len(whole).to_bytes(4, "little") + whole
        place = end + size % 2
    return None
