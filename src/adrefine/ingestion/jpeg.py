"""Damage in a JPEG that decoders pass over: data that libjpeg only warns of, blocks that no photo has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import simplejpeg

from adrefine.ingestion.damage import BadPhoto, Unread, is_no_memory

_TOLD = ("corrupt jpeg data", "premature end", "inconsistent progression")  # libjpeg, of wrong pixels
_SCANS = 100  # of a progressive JPEG: cameras write one, encoders about ten; each goes through all pixels
_SCAN = b"\xff\xda"  # begins a scan; cannot be within one
_TABLES, _FRAMES, _START, _ADOBE = 0xDB, (0xC0, 0xC1, 0xC2), 0xDA, 0xEE  # second bytes of markers (T.81)
_AREA = 8  # a block's first coefficient is so many times its mean
_RGB = b"RGB"  # ids of components that are no YCbCr


class _First(NamedTuple):
    """The quantizer of the means of blocks, and its place in the file."""

    step: int
    place: int


def check(data: bytes) -> None:
    """Refuse a JPEG that is damaged though Pillow reads it.

    A turned bit moves the means of all blocks behind it, by as much as the data happens to say. In a photo
    they lie between black and white; so they are decoded at half of their contrast, which leaves room to see
    those that do not.

    Raises:
        BadPhoto: libjpeg warns of its pixels (the rest would be smeared, shifted or grey), or blocks are
            brighter than white or darker than black.
    """
    first = _first(data)
    half = first.step // 2 if first else 0
    if first and half:
        data = data[: first.place] + bytes([half]) + data[first.place + 1 :]
    try:  # at an eighth of the size: the means of blocks
        means = simplejpeg.decode_jpeg(
            data, colorspace="GRAY", min_height=1, min_width=1, min_factor=_AREA, strict=True
        )
    except ValueError as error:
        text = " ".join(str(error).split())
        if is_no_memory(text):
            raise MemoryError from error
        if text.lower().startswith(_TOLD):
            raise Unread(f"damaged or truncated: {text[:100]}") from None
        return
    if first and half:
        _check_means(means, half / first.step, first.step)


def check_scans(data: bytes) -> None:
    """Refuse a progressive JPEG of so many scans that to read it takes minutes."""
    scans = data.count(_SCAN)
    if scans > _SCANS:
        raise BadPhoto(f"a progressive JPEG of {scans} scans: more than {_SCANS} are no photo")


def _check_means(means: np.ndarray, contrast: float, step: int) -> None:
    """Means of blocks, at that contrast around the middle of 0 to 255."""
    room = (0.5 + 1) / contrast + 1.5 * step / _AREA  # of rounding; encoders may round to the next but one
    low, high = (128 + (float(end) - 128) / contrast for end in (means.min(), means.max()))
    if low < -room or high > 255 + room:
        raise BadPhoto("damaged: blocks that are brighter than white or darker than black")


def _first(data: bytes) -> _First | None:
    """Of grey or brightness; None where it cannot be told, or where the components are no YCbCr."""
    places: dict[int, int] = {}
    used: int | None = None
    for kind, start, end in _segments(data):
        if kind == _TABLES:
            places |= _tables(data, start, end)
        elif (
            kind == _ADOBE and data[start : start + 5] == b"Adobe" and data[start + 11 : start + 12] == b"\0"
        ):
            return None
        elif kind in _FRAMES and end - start >= 9:
            count = data[start + 5]
            if count not in (1, 3) or data[start + 6 : end : 3][:3] == _RGB:
                return None
            used = data[start + 8]
    place = places.get(-1 if used is None else used)
    return None if place is None else _First(data[place], place)


def _tables(data: bytes, place: int, end: int) -> dict[int, int]:
    """Places of the first step of each table of 8 bits in a segment, by its number."""
    places = {}
    while place < end:
        wide, number = data[place] >> 4, data[place] & 15
        if not wide:
            places[number] = place + 1
        place += 129 if wide else 65
    return {number: place for number, place in places.items() if place < end}


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Second byte, start and end of what lies between markers, up to the first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        if kind == 0xFF:  # filling
            place += 1
            continue
        if kind == _START:
            return
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield kind, place + 4, min(end, len(data))
        place = end
