"""What `predict` takes as a photo, and what it gives back."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.datasets.formats import UNREAD
from adrefine.errors import UserError
from adrefine.ingestion import decode
from adrefine.ingestion.affine import Affine
from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.decode import Decoded, Gate
from adrefine.ingestion.preparation import Preparation, Ready
from adrefine.ingestion.samples import Samples
from adrefine.ingestion.sources import read_bytes

Photo: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]
Box = tuple[int, int, int, int]  # x, y, width, height in pixels of the photo
_PEAK = 0.5  # share of the highest value that still belongs to the place around it


@dataclass(frozen=True)
class Result:
    """What a model says of one photo.

    Attributes:
        score: higher is worse. threshold: over it a photo is called defective.
        width, height: of the photo, pixels.
        sha256: of the file's bytes; "" for a photo that was no file.
        notes: what about the photo is unlike those that trained, for people.
        milliseconds: that it took, its share of those that went through together.
    """

    score: float
    threshold: float
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...]
    milliseconds: float
    _heat: npt.NDArray[np.float32] | None = field(repr=False)
    _move: Affine = field(repr=False)
    _side: int = field(repr=False)

    @property
    def defective(self) -> bool:
        """Whether the score is over the threshold."""
        return self.score > self.threshold

    @cached_property
    def map(self) -> npt.NDArray[np.float32]:
        """Anomaly map (height, width), not negative, in the photo's own pixels; 1 is the threshold of maps.

        Raises:
            UserError: none was asked for, or the detector makes none.
        """
        return self.map_at(self.width, self.height)

    def map_at(self, width: int, height: int) -> npt.NDArray[np.float32]:
        """The map (height, width) over the whole photo."""
        if self._heat is None:
            raise UserError("there is no anomaly map: predict(..., maps=True) makes one, if the detector can")
        move = self._move.scaled(width / self.width, height / self.height)
        return np.asarray(move.map_back(self._heat, self._side, (width, height)), dtype=np.float32)

    @cached_property
    def box(self) -> Box | None:
        """The most unusual place: around the map's highest value, as far as half of it reaches; None without
        a map."""
        if self._heat is None:
            return None
        from scipy.ndimage import label

        heat = self._heat
        regions, _ = label(heat >= _PEAK * heat.max(), np.ones((3, 3)))
        rows, columns = np.nonzero(regions == regions[np.unravel_index(heat.argmax(), heat.shape)])
        step = np.array([self._side / heat.shape[1], self._side / heat.shape[0]])
        low = np.array([columns.min(), rows.min()]) * step
        high = np.array([columns.max() + 1, rows.max() + 1]) * step
        left, top, right, bottom = self._move.box((*low.tolist(), *high.tolist()))
        x, across = _within(left, right, self.width)
        y, down = _within(top, bottom, self.height)
        return x, y, across, down

    def as_json(self) -> dict[str, Any]:
        """For other programs; without the map."""
        box = self.box
        place = None if box is None else dict(zip(("x", "y", "width", "height"), box, strict=True))
        return {
            "score": self.score,
            "threshold": self.threshold,
            "defective": self.defective,
            "top_place": place,
            "width": self.width,
            "height": self.height,
            "sha256": self.sha256,
            "warnings": list(self.notes),
            "milliseconds": self.milliseconds,
        }


def _within(low: float, high: float, most: int) -> tuple[int, int]:
    """First pixel and number of those from `low` to `high`, at least one, of `most`."""
    first = int(np.clip(np.floor(low), 0, most - 1))
    return first, max(1, int(np.clip(np.ceil(high), 0, most)) - first)


def ready(photo: Photo, preparation: Preparation, gate: Gate | None = None) -> tuple[Ready, str]:
    """A photo at the working size, and the hash of its file, "" if it is none. gate: see `decode.read`.

    Raises:
        UserError: it cannot be used; says why.
    """
    name = str(photo) if isinstance(photo, str | os.PathLike) else "the photo"
    try:
        if isinstance(photo, str | os.PathLike):
            photo = _read(Path(photo), preparation.max_megapixels)
        if isinstance(photo, bytes | bytearray | memoryview):
            data = bytes(photo)
            return preparation.of_bytes(data, gate), hashlib.sha256(data).hexdigest()
        return preparation.of_pixels(pixels(photo)), ""
    except BadPhoto as error:
        raise UserError(f"{name}: {error}") from None


def _read(path: Path, max_megapixels: float) -> bytes:
    if path.is_dir():
        raise BadPhoto("a folder, not a photo")
    if remedy := UNREAD.get(path.suffix.lower()):  # some hold a small preview, which is not the photo
        raise BadPhoto(f"{path.suffix} is not read: {remedy}")
    whole = path.absolute()
    return read_bytes(whole.parent, whole.name, max_megapixels, follow_links=True)


def pixels(photo: Image.Image | npt.NDArray[Any]) -> Decoded | Samples:
    """A photo in memory as ingest has it after decoding.

    Args:
        photo: an image of Pillow; or (h, w) grey or (h, w, 3) RGB, uint8, uint16 or floats.

    Raises:
        BadPhoto: it is of another kind or shape.
    """
    if isinstance(photo, Image.Image):
        return decode.of_image(photo)
    if not isinstance(photo, np.ndarray):
        raise BadPhoto(f"{type(photo).__name__} is no path, bytes, Pillow image or numpy array")
    if not (photo.ndim == 2 or (photo.ndim == 3 and photo.shape[2] == 3)):
        raise BadPhoto(f"an array of shape {photo.shape}: (h, w) or (h, w, 3) is needed")
    if photo.dtype == np.uint8:
        return decode.of_image(Image.fromarray(np.ascontiguousarray(photo)))
    if photo.dtype == np.uint16 or photo.dtype.kind == "f":
        return Samples(photo)
    raise BadPhoto(f"an array of {photo.dtype}: uint8, uint16 or floats are needed")
