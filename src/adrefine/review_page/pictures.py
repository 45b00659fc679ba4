"""The pictures of the page: photos at working size and at their own, maps to lay over them, thumbnails."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from adrefine import datasets, paths
from adrefine.ingestion import decode, scales, sources
from adrefine.ingestion.damage import BadPhoto
from adrefine.io import write_bytes
from adrefine.params import Dataset
from adrefine.places.out_of_fold import Array
from adrefine.report.pictures import heat_colours, thumbnail
from adrefine.reviewing.picture import USUAL, sized

THUMBNAIL = 176  # pixels of the longer side
_HEADER = 200  # bytes of a JPEG that its comment lies in
_QUALITY = {"JPEG": 92, "thumbnail": 80}


def small(photo: Path, image_id: str) -> bytes | None:
    """A thumbnail as JPEG, made once for the photo as it is (side cache `review`); None: no photo there."""
    file = paths.side_cache("review") / "thumbnails" / f"{image_id}.jpg"
    try:
        status = os.stat(photo)  # another region or size makes another image under the same id
        stamp = f"{status.st_size} {status.st_mtime_ns}".encode()
        there = file.read_bytes() if file.is_file() else b""
    except OSError:
        return None
    if stamp in there[:_HEADER]:
        return there
    shown = thumbnail(photo, THUMBNAIL)
    if shown is None:
        return None
    made = _jpeg(Image.fromarray(shown), _QUALITY["thumbnail"], stamp)
    write_bytes(file, made)
    return made


def native(params: Dataset, source: str, scale: str) -> bytes | None:
    """The photo as it was taken, upright and with all its pixels, as JPEG; None where it is gone.

    Args:
        source, scale: of the manifest.
    """
    try:
        root = datasets.place(params).resolve()
        data = sources.read_bytes(root, source, params.max_megapixels, params.follow_links)
        decoded = decode.read(data, params.max_megapixels)
    except BadPhoto:
        return None
    if not isinstance(decoded, decode.Decoded):
        decoded = decode.on_scale(decoded, scales.parse(scale) if ".." in scale else scales.EIGHT_BIT)
    return _jpeg(decoded.image, _QUALITY["JPEG"])


def heat(distances: Array, size: tuple[int, int]) -> bytes:
    """A map (p,) of a square grid as a PNG of `size` (w, h), transparent where ordinary.

    It is what `adrefine review --next` shows: clear at the photo's own median.
    """
    shape = size[::-1]
    colours, opacity = heat_colours(sized(distances, shape), shape, USUAL)
    pixels = np.concatenate([colours, 255 * opacity], axis=2).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def size_of(photo: Path) -> tuple[int, int] | None:
    """Width and height of a photo on disk; None where it cannot be read."""
    try:
        with Image.open(photo) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _jpeg(image: Image.Image, quality: int, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, comment=comment)
    return buffer.getvalue()
