"""What makes a photo one that cannot be used, and pixels that a file which was cut short leaves as zeros."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from adrefine.errors import UserError

_MOSTLY = 0.9
_PIXEL, _ROOM = 16, 64 * 2**20  # bytes that reading takes: a pixel, and in any case


_NO_MEMORY = re.compile(
    r"out of memory|insufficient memory|(cannot|unable to) allocate|malloc", re.IGNORECASE
)


class BadPhoto(Exception):
    """A photo or mask that cannot be used; the message is the reason, in one line."""


class Unread(BadPhoto):
    """A decoder gave up, for whatever reason it names: many call lacking memory damage."""


class OutOfMemory(UserError):
    """A photo may be good, but this machine has not the memory to read it."""


def unread(error: Exception, what: str = "damaged or truncated") -> Unread:
    """What a decoder's error says of its photo.

    Raises:
        MemoryError: nothing, there was no memory; decoders have their own words for that.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or is_no_memory(text):
        raise MemoryError from error
    return Unread(f"{what}: {text.split(' at 0x')[0][:120]}")  # an address would differ from run to run


def is_no_memory(text: str) -> bool:
    """Whether a decoder's words say that memory was lacking."""
    return bool(_NO_MEMORY.search(text))


def without_memory(pixels: int) -> BadPhoto:
    """What it says of a photo that the memory was not enough: nothing, unless it asks for far more than its
    `pixels` need, as a damaged header does.

    Raises:
        OutOfMemory: what the pixels need is not there.
    """
    need_memory(pixels)
    return BadPhoto("damaged: it asks for more memory than its pixels need")


def need_memory(pixels: int) -> None:
    """Look whether a photo of so many pixels could be read at all.

    Raises:
        OutOfMemory: it could not.
    """
    try:
        np.empty(pixels * _PIXEL + _ROOM, dtype=np.uint8)
    except MemoryError:
        what = f"for its {pixels / 1e6:.0f} megapixels" if pixels >= 1e6 else "to read it"
        raise OutOfMemory(
            f"not enough memory {what}: give this machine or container more, "
            "or set dataset.max_megapixels so that it is set aside"
        ) from None


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
