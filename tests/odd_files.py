"""Image files that common software does not write: TIFFs with any tags, PNGs with any chunk."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.generic]
_SIZE = {3: 2, 4: 4}  # bytes of the types SHORT and LONG


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image as a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(
    values: Array,
    *,
    planar: bool = False,
    raw: bytes | None = None,
    tags: dict[int, tuple[int, list[int]]] | None = None,
) -> bytes:
    """A little-endian TIFF, uncompressed, one strip a plane.

    Args:
        values: (h, w) or (h, w, c); planar: (c, h, w).
        raw: bytes of the pixels, where they are not those of `values`.
        tags: type (3 SHORT, 4 LONG) and values by tag; they win.
    """
    planes = list(values) if planar else [values]
    height, width = planes[0].shape[:2]
    channels = len(planes) if planar else (values.shape[2] if values.ndim == 3 else 1)
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    strips = [raw] if raw is not None else [np.ascontiguousarray(plane).tobytes() for plane in planes]
    table: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [values.dtype.itemsize * 8] * channels),
        259: (3, [1]),
        262: (3, [2 if channels >= 3 else 1]),
        273: (4, [0] * len(strips)),
        277: (3, [channels]),
        278: (4, [height]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if planar else 1]),
        339: (3, [kind] * channels),
        **(tags or {}),
    }
    place = 10 + 12 * len(table) + 4
    start = place + sum(size for size in map(_bytes, table.values()) if size > 4)
    if 273 not in (tags or {}):
        table[273] = (4, [start + sum(map(len, strips[:i])) for i in range(len(strips))])
    entries, extra = b"", b""
    for tag, (form, numbers) in sorted(table.items()):
        packed = struct.pack(f"<{len(numbers)}{'H' if form == 3 else 'I'}", *numbers)
        here = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", place + len(extra))
        extra += packed if len(packed) > 4 else b""
        entries += struct.pack("<HHI", tag, form, len(numbers)) + here
    return struct.pack("<2sHIH", b"II", 42, 8, len(table)) + entries + bytes(4) + extra + b"".join(strips)


def png16(values: Array, sbit: int | None = None) -> bytes:
    """A PNG of 16 bits a sample, (h, w) grey or (h, w, 2 | 3 | 4), with the chunk sBIT."""
    channels = values.shape[2] if values.ndim == 3 else 1
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = values.astype(">u2").reshape(height, -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))]
    chunks += [(b"sBIT", bytes([sbit] * channels))] if sbit else []
    chunks += [(b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def packed12(values: Array) -> bytes:
    """(h, w) values of 12 bits, w even, two in three bytes."""
    pairs = values.astype(np.uint16).reshape(values.shape[0], -1, 2)
    one, two = pairs[..., 0], pairs[..., 1]
    return np.stack([one >> 4, (one & 15) << 4 | two >> 8, two & 255], -1).astype(np.uint8).tobytes()


def _bytes(entry: tuple[int, list[int]]) -> int:
    return _SIZE[entry[0]] * len(entry[1])
