"""TIFF: a container of anything. What is in it is read from its tags first, against a list of what is known
to come out right; the rest is refused by its name.

Pillow reads what has 8 bits or less and is laid out the common way. It takes planar 16-bit colours for 8-bit
ones, ignores MinIsWhite where there are more than 8 bits, fills missing strips with zeros and opens the
preview where that comes first: all that is read with tifffile here. Tags: TIFF 6.0 (Adobe, 1992).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from adrefine.ingestion import coded, jpeg
from adrefine.ingestion.damage import BadPhoto, unread
from adrefine.ingestion.samples import Samples, over_black, shape_of

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MAX, _SMAX = 281, 341
_MULTIPLIED, _STRAIGHT = (
    1,
    2,
)  # of ExtraSamples: transparency that the colours are, or are not, multiplied with
_PAGES = 100  # that are looked at
_OLD_JPEG, _JPEG = 6, 7
_FAX = (2, 3, 4)
_PACKED = (5, 8, 32946, 32773, 34925, 50000)  # LZW, deflate, PackBits, LZMA, Zstandard
_UNSIGNED, _SIGNED, _FLOAT, _VOID = 1, 2, 3, 4  # SampleFormat
_RAW = {32803: "raw sensor data (CFA, Bayer pattern)", 34892: "raw sensor data (LinearRaw)"}
_OTHER = {4: "a transparency mask", 8: "CIELab colours", 9: "ICCLab colours", 10: "ITULab colours"}
_EXPORT = "export it as 8- or 16-bit grey or RGB"

logging.getLogger("tifffile").disabled = True  # what is odd is said here, once, or not at all


def is_one(data: bytes) -> bool:
    """Whether the file is a TIFF, of either byte order, also a big one."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read(data: bytes, check_size: Callable[[int, int], None]) -> Samples | None:
    """Values of the first full-size picture in a TIFF, upright; None where Pillow reads it right.

    Args:
        data: content of the file.
        check_size: is called with width and height before anything is decoded, and raises.

    Raises:
        BadPhoto: cut off, with parts missing, or of a kind that is not read; says which.
    """
    import tifffile  # takes .4 s

    try:
        with tifffile.TiffFile(BytesIO(data)) as file:
            page = _picture(file)
            check_size(page.imagewidth, page.imagelength)
            if kind := _kind(page):
                raise BadPhoto(f"a TIFF of a kind that cannot be read ({kind}): {_EXPORT}")
            _check_strips(page, len(data))
            _check_lengths(page, data)
            if page.offset == file.pages[0].offset and not file.is_bigtiff and _plain(page):
                return None
            return _samples(page, page.asarray(maxworkers=1)).turned(_orientation(page))
    except BadPhoto:
        raise
    except Exception as error:  # of tags that contradict each other, or a codec's own
        raise unread(error, "damaged or truncated TIFF") from None


def pictures(data: bytes) -> int:
    """How many pictures of the size of the one that is read a TIFF holds: one, unless it is a stack."""
    import tifffile

    with tifffile.TiffFile(BytesIO(data)) as file:
        shown = _picture(file)
        return max(1, sum(_area(page) == _area(shown) for page in _full(file)))


def _picture(file: Any) -> Any:
    """The first of the largest pages that are no reduced copy of another; raw files of cameras have a preview
    first and the photo below it."""
    full = _full(file)
    return max(full, key=_area) if full else file.pages[0]


def _full(file: Any) -> list[Any]:
    """Pages, and those below them, that are no reduced copies and no masks, in their order."""
    pages = []
    for page in islice(file.pages, _PAGES):
        pages += [page, *(page.pages or ())]
    return [page for page in pages if not int(page.subfiletype) & (_REDUCED | _MASK)]


def _area(page: Any) -> int:
    return int(page.imagewidth * page.imagelength)


def _kind(page: Any) -> str:
    """What makes this page one that is not read; "" if it is."""
    bits, form, samples = page.bitspersample, int(page.sampleformat), page.samplesperpixel
    photometric = int(page.photometric)
    if photometric in _RAW:
        return _RAW[photometric]
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR):
        return _OTHER.get(photometric, f"photometric interpretation {photometric}")
    if not isinstance(bits, int):
        return "channels of different bit depths"
    if form not in (_UNSIGNED, _SIGNED, _FLOAT, _VOID):
        return "complex numbers"
    if photometric in (_CMYK, _YCBCR) and bits != 8:
        return f"{bits}-bit {'CMYK' if photometric == _CMYK else 'YCbCr'} colours"
    wanted = {_RGB: (3, 4), _CMYK: (4, 5), _YCBCR: (3,), _PALETTE: (1,)}.get(photometric, (1, 2))
    if samples not in wanted:
        return f"{samples} channels"
    if page.imagedepth != 1:
        return "a volume"
    if form == _FLOAT and bits not in (16, 32, 64):
        return f"{bits}-bit float"
    if page.dtype is None:
        return f"{bits} bits a sample, {page.compression.name} compressed"
    return ""


def _plain(page: Any) -> bool:
    """Whether Pillow reads it right. It divides colours by the transparency they were multiplied with, and so
    loses those behind 0."""
    unsigned = int(page.sampleformat) in (_UNSIGNED, _VOID)
    common = page.bitspersample in (1, 2, 4, 8) and page.planarconfig == 1
    extra = [int(what) for what in page.extrasamples]
    layers = _MULTIPLIED not in extra and not (extra and int(page.photometric) == _WHITE_IS_ZERO)
    known = int(page.compression) in (1, *_FAX, _OLD_JPEG, _JPEG, *_PACKED)
    return bool(unsigned and common and layers and known)


def _check_strips(page: Any, size: int) -> None:
    """All strips or tiles are named, none is empty or beyond the file's end."""
    if int(page.compression) == _OLD_JPEG:  # keeps its data in other tags
        return
    starts, counts = page.dataoffsets, page.databytecounts
    chunks = int(np.prod(page.chunked)) if page.chunked else 0
    pairs = list(zip(starts, counts, strict=False))
    missing = max(0, chunks - len(pairs)) + sum(start == 0 or count == 0 for start, count in pairs)
    if missing or not pairs:
        raise BadPhoto(f"{missing or 'all'} of {max(chunks, 1)} strips or tiles are missing")
    if any(start + count > size for start, count in pairs):
        raise BadPhoto("damaged or truncated: strips or tiles lie beyond the end of the file")
    if shared := len(pairs) - len({start for start, _ in pairs}):
        raise BadPhoto(f"damaged: {shared + 1} of its {len(pairs)} strips or tiles share their place")
    row = -(-page.imagewidth * page.bitspersample * page.samplesperpixel // 8)
    if int(page.compression) == 1 and not page.is_tiled and sum(counts) < row * page.imagelength:
        raise BadPhoto("damaged or truncated: its strips hold fewer pixels than the photo has")


def _check_lengths(page: Any, data: bytes) -> None:
    """Every packed strip or tile unpacks to as many bytes as it stands for: libtiff only prints when not.
    JPEG ones are looked at like photos."""
    import tifffile

    kind = int(page.compression)
    if kind not in (*_PACKED, *_FAX, _JPEG):
        return
    unpack = tifffile.TIFF.DECOMPRESSORS[kind]
    chunk = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    together = 1 if page.planarconfig == 2 else page.samplesperpixel
    row = -(-chunk[1] * page.bitspersample * together // 8)
    down = -(-page.imagelength // chunk[0])
    for place, (start, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        packed = data[start : start + count]
        if kind == _JPEG:
            jpeg.check(_with_tables(page, packed))
            continue
        if kind in _FAX:
            coded.check_zeros(packed)
            continue
        last = not page.is_tiled and (place + 1) % down == 0
        rows = page.imagelength - (down - 1) * chunk[0] if last else chunk[0]
        if len(unpack(packed)) not in (rows * row, chunk[0] * row):
            raise BadPhoto("damaged or truncated: a strip or tile does not hold the pixels that it should")


def _with_tables(page: Any, packed: bytes) -> bytes:
    """A strip as a JPEG of its own: the tables that all share come after its first marker."""
    tables = page.jpegtables
    return packed[:2] + tables[2:-2] + packed[2:] if tables else packed


def _samples(page: Any, values: npt.NDArray[np.generic]) -> Samples:
    """The page's values with colours last, extra channels used or dropped."""
    photometric, bits = int(page.photometric), page.bitspersample
    if page.planarconfig == 2 and values.ndim == 3:
        values = np.moveaxis(values, 0, 2)
    if photometric == _PALETTE:
        raise BadPhoto(f"a TIFF of a kind that cannot be read (palette, {bits} bits): {_EXPORT}")
    if photometric == _CMYK or (photometric == _YCBCR and int(page.compression) != _JPEG):
        raise BadPhoto(f"a TIFF of a kind that cannot be read ({page.photometric.name}): {_EXPORT}")
    full = float(2**bits - 1) if values.dtype.kind == "u" else 1.0
    if values.dtype == np.bool_:
        values, full = values.astype(np.uint8), 1.0
    colours = 3 if photometric in (_RGB, _YCBCR) else 1
    alpha = None
    if values.ndim == 3:
        extra = [int(what) for what in page.extrasamples]
        alpha = shape_of(values[..., colours]) if extra[:1] in ([_STRAIGHT], [_MULTIPLIED]) else None
        shown = values[..., :colours] if colours == 3 else values[..., 0]
        values = over_black(shown, alpha, full) if extra[:1] == [_STRAIGHT] else shown
    sure = full if values.dtype.kind == "u" and (bits < 16) else None
    return Samples(np.ascontiguousarray(values), sure, _declared(page), photometric == _WHITE_IS_ZERO, alpha)


def _orientation(page: Any) -> int:
    tag = page.tags.get(274)
    return int(tag.value) if tag is not None and isinstance(tag.value, int) else 1


def _declared(page: Any) -> float | None:
    """The largest value that MaxSampleValue or SMaxSampleValue names."""
    for code in (_SMAX, _MAX):
        tag = page.tags.get(code)
        if tag is not None:
            return float(np.max(np.asarray(tag.value, dtype=float)))
    return None
