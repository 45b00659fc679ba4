"""Damage that decoders pass over: broken JPEG data that libjpeg only warns of, files whose end is zeros."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import simplejpeg

_TOLD = ("corrupt jpeg data", "premature end")  # what libjpeg warns of when pixels are wrong
_MOSTLY = 0.9


class BadPhoto(Exception):
    """A photo or mask that cannot be used; the message is the reason, in one line."""


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG that libjpeg reads with a warning about its pixels, which Pillow does not pass on.

    Raises:
        BadPhoto: the data is broken; the rest of the photo would be smeared, shifted or grey.
    """
    try:  # at an eighth of the size: the warnings come from the bits, not from the pixels
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        text = " ".join(str(error).split())
        if text.lower().startswith(_TOLD):
            raise BadPhoto(f"damaged or truncated: {text[:100]}") from None


def check_end(rows: npt.NDArray[np.generic]) -> None:
    """Refuse pixels (h, w[, c]), in the order of the file, that end within a row and are 0 from there on: a
    copy that was cut short and filled up. A dark border ends where the part does, not across the photo.

    Raises:
        BadPhoto: it looks like that.
    """
    lit = np.asarray((rows != 0).reshape(*rows.shape[:2], -1).any(axis=2))
    some = np.asarray(lit.any(axis=1))
    last = len(some) - 1 - int(some[::-1].argmax())
    if not some.any() or last == 0 or last == len(some) - 1:
        return
    end = lit.shape[1] - int(lit[last, ::-1].argmax())  # columns before the zeros
    if end == lit.shape[1]:
        return
    if min(lit[last, :end].mean(), lit[last - 1, end:].mean(), lit[last - 1].mean()) > _MOSTLY:
        share = (len(some) - 1 - last) / len(some)
        raise BadPhoto(f"its last {share:.0%} of the rows are zeros, from the middle of a row on: cut short")
