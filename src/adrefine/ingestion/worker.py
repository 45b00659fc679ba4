"""What happens to one photo, in whatever process: read, hash, look in the side cache, else decode and store
there.

The side cache holds the finished image of every photo ever ingested, under the hash of its bytes, so a
changed dataset decodes the changed photos alone. Nothing else is written here: which photos stay is decided
once all are known.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from adrefine import io
from adrefine.ingestion import decode
from adrefine.ingestion.decode import BadPhoto

CODE_VERSION = 2  # raise when the same photo would come out differently, so that the side cache is not used
_LARGEST_PIXEL = 16  # bytes: four channels of 32 bits, uncompressed
_LARGEST_HEADER = 64 * 2**20


@dataclass(frozen=True)
class Settings:
    """How photos are prepared. `root` is absolute, `cache` the side cache of exactly these settings."""

    root: Path
    cache: Path
    size: int
    fit: str
    max_megapixels: float


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to prepare; `index` is its row."""

    index: int
    source: str
    mask_source: str


@dataclass(slots=True)
class Photo:
    """What is known of a photo afterwards; about 1 kB, 512 bytes of it the thumbnail.

    `problem`: why it goes to quarantine; `clash`: how its mask disagrees in size. `sha256`, `mask_sha256`: of
    the files' bytes, which name the images in the side cache.
    """

    index: int
    sha256: str = ""
    width: int = 0
    height: int = 0
    mask_sha256: str = ""
    mask_area: float = 0.0
    reused: bool = False
    problem: str = ""
    clash: str = ""
    thumbnail: npt.NDArray[np.float16] = field(default_factory=lambda: np.zeros(0, np.float16))


def config_key(size: int, fit: str) -> str:
    """Name of the side cache of one way to prepare photos; another Pillow may round pixels differently."""
    text = f"{CODE_VERSION}/{PIL.__version__}/{size}/{fit}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def image_file(cache: Path, sha256: str) -> Path:
    """Where the side cache keeps the image of a photo."""
    return cache / f"{sha256}.png"


def mask_file(cache: Path, sha256: str) -> Path:
    """Where the side cache keeps a mask."""
    return cache / "masks" / f"{sha256}.png"


def process(settings: Settings, job: Job) -> Photo:
    """Prepare one photo and its mask; never raises for bad data."""
    photo = Photo(job.index)
    try:
        _image(settings, job.source, photo)
    except BadPhoto as error:
        photo.problem = str(error)
        return photo
    if job.mask_source:
        try:
            _mask(settings, job, photo)
        except BadPhoto as error:
            photo.problem = f"its mask {job.mask_source}: {error}"
    return photo


def _image(settings: Settings, source: str, photo: Photo) -> None:
    data = read_bytes(settings.root, source, settings.max_megapixels)
    photo.sha256 = hashlib.sha256(data).hexdigest()
    file = image_file(settings.cache, photo.sha256)
    record = _cached(file)
    photo.reused = record is not None
    if record is None:
        decoded = decode.photo(data, settings.max_megapixels, at_least=settings.size)
        image = decode.as_grey(decode.fit(decoded, settings.size, settings.fit))
        record = {
            "width": decoded.width,
            "height": decoded.height,
            "thumbnail": decode.thumbnail(image).tobytes().hex(),
        }
        _store(file, decode.png(image), record)
    photo.width, photo.height = record["width"], record["height"]
    decode.check_size(photo.width, photo.height, settings.max_megapixels)
    photo.thumbnail = np.frombuffer(bytes.fromhex(record["thumbnail"]), dtype=np.float16)


def _mask(settings: Settings, job: Job, photo: Photo) -> None:
    data = read_bytes(settings.root, job.mask_source, settings.max_megapixels)
    photo.mask_sha256 = hashlib.sha256(data).hexdigest()
    file = mask_file(settings.cache, photo.mask_sha256)
    record = _cached(file)
    if record is None:
        decoded = decode.mask(data, settings.max_megapixels)
        image = decode.fit(decoded, settings.size, settings.fit, is_mask=True)
        area = float(np.count_nonzero(np.asarray(image))) / settings.size**2
        record = {"width": decoded.width, "height": decoded.height, "area": area}
        _store(file, decode.png(image), record)
    photo.mask_area = record["area"]
    if (record["width"], record["height"]) != (photo.width, photo.height):
        photo.clash = (
            f"{job.source} is {photo.width}x{photo.height} pixels, its mask {job.mask_source} "
            f"{record['width']}x{record['height']}"
        )


def read_bytes(root: Path, source: str, max_megapixels: float) -> bytes:
    """Bytes of the file `source` below `root` (absolute, without links).

    Raises:
        BadPhoto: a link that leaves the root, a pipe or a monstrous file (refused unread), or one that cannot
            be read.
    """
    path = root / source
    try:
        if not path.resolve().is_relative_to(root):
            raise BadPhoto("a symbolic link that leaves dataset.root: not followed")
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise BadPhoto("a symbolic link to a folder: not followed")
        if not stat.S_ISREG(found.st_mode):
            raise BadPhoto("not a regular file")
        if found.st_size > max_megapixels * 1e6 * _LARGEST_PIXEL + _LARGEST_HEADER:
            raise BadPhoto(
                f"{found.st_size / 1e6:.0f} MB: too large for dataset.max_megapixels = {max_megapixels:g}"
            )
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself, before Python 3.13
        reason = getattr(error, "strerror", None) or "a symbolic link that leads to itself"
        raise BadPhoto(f"cannot be read: {reason}") from None


def _cached(file: Path) -> dict[str, Any] | None:
    """Record of an image in the side cache; None if there is none, or if somebody changed the image since."""
    try:
        record = io.read_json(file.with_suffix(".json"))
        intact = bool(record.pop("png") == io.sha256_file(file))
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return record if intact else None


def _store(file: Path, image: bytes, record: dict[str, Any]) -> None:
    """The record comes last: an image without it does not count."""
    io.write_bytes(file, image)
    io.write_json(file.with_suffix(".json"), {**record, "png": hashlib.sha256(image).hexdigest()})
