"""How the photos of a set became images of the working size, and the same for one more photo.

Written by ingest beside the images, so that a photo that comes later gets what it would have got.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Any

from PIL import Image

from adrefine.areas.region import Region
from adrefine.ingestion import decode, fitting, pose, scales
from adrefine.ingestion.affine import Affine
from adrefine.ingestion.decision import PART, STRETCH
from adrefine.ingestion.decode import Decoded, Gate
from adrefine.ingestion.samples import Samples
from adrefine.ingestion.scales import EIGHT_BIT, Scale


@dataclass(frozen=True)
class Ready:
    """A photo at the working size.

    Attributes:
        image: mode L or RGB, `size` a side.
        width, height: of the photo, pixels.
        move: from pixels of the image to those of the photo.
        scale: values of the photo that became black and white.
        notes: what about it is unlike the set, for people.
    """

    image: Image.Image
    width: int
    height: int
    move: Affine
    scale: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preparation:
    """What was decided for all photos of a set.

    Attributes:
        size: pixels a side of the images.
        fit: what was done, as `fitting.fit` takes it, or `part`; never `auto`.
        aspect: for `part`, as `Pose.transform` takes it.
        scales: by `Levels.kind`, as `Scale` writes itself; of photos of more than 8 bits.
        max_megapixels: larger photos are refused.
        region: what counts of the images; None: all.
    """

    size: int
    fit: str
    aspect: float = 0.0
    scales: dict[str, str] = field(default_factory=dict)
    max_megapixels: float = 100
    region: Region | None = None

    def as_json(self) -> dict[str, Any]:
        """For preparation.json; the region is in a file of its own."""
        return {name: value for name, value in vars(self).items() if name != "region"}

    def of_bytes(self, data: bytes, gate: Gate | None = None) -> Ready:
        """A photo from the bytes of its file, as ingest would have made it. gate: see `decode.read`.

        Raises:
            BadPhoto: it cannot be used.
        """
        photo = decode.read(data, self.max_megapixels, self.size, gate)
        lies = self._pose(photo)
        if lies is None or lies.problem:
            return self._stretched(photo)
        enough = ceil(self.size / (pose.MARGIN * min(lies.length, lies.width)))
        return self._turned(decode.read(data, self.max_megapixels, enough, gate), lies)

    def shown(self, data: bytes) -> Image.Image:
        """The whole photo for people, on the scale of the set."""
        return self._in_8_bits(decode.read(data, self.max_megapixels, self.size))[0].image

    def whole(self, data: bytes) -> Decoded:
        """The photo in its own size, upright, in 8 bits on the scale of the set.

        Raises:
            BadPhoto: it cannot be used.
        """
        return self._in_8_bits(decode.read(data, self.max_megapixels))[0]

    def of_pixels(self, photo: Decoded | Samples) -> Ready:
        """A photo that is in memory.

        Raises:
            BadPhoto: too small or too large.
        """
        width, height = size_of(photo)
        decode.check_size(width, height, self.max_megapixels)
        lies = self._pose(photo)
        return self._stretched(photo) if lies is None or lies.problem else self._turned(photo, lies)

    def _pose(self, photo: Decoded | Samples) -> pose.Pose | None:
        if self.fit != PART:
            return None
        decoded, _, _ = self._in_8_bits(photo)
        return pose.find(pose.reduced(decoded.image))

    def _stretched(self, photo: Decoded | Samples) -> Ready:
        decoded, scale, notes = self._in_8_bits(photo)
        how = STRETCH if self.fit == PART else self.fit
        image = self._seen(fitting.fit(decoded, self.size, how))
        move = fitting.transform(decoded.width, decoded.height, self.size, how)
        more = ("its part was not found: stretched, others are turned to it",) if self.fit == PART else ()
        return Ready(image, decoded.width, decoded.height, move, str(scale), (*notes, *more))

    def _turned(self, photo: Decoded | Samples, lies: pose.Pose) -> Ready:
        decoded, scale, notes = self._in_8_bits(photo)
        move = lies.transform(decoded.width, decoded.height, self.size, self.aspect)
        image = self._seen(fitting.turn(decoded, move, self.size))
        return Ready(image, decoded.width, decoded.height, move, str(scale), notes)

    def _seen(self, fitted: Image.Image) -> Image.Image:
        """What ingest makes of a photo at the working size."""
        image = decode.as_grey(fitted)
        return image if self.region is None else self.region.only(image)

    def _in_8_bits(self, photo: Decoded | Samples) -> tuple[Decoded, Scale, tuple[str, ...]]:
        """The photo on the scale of its set; where that has none for it, on its own."""
        if isinstance(photo, Decoded):
            return photo, EIGHT_BIT, ()
        levels = photo.levels()
        known = {kind: scales.parse(text) for kind, text in self.scales.items()}
        own = levels.kind not in known and levels.kind != scales.DECLARED
        scale = scales.of(levels, scales.choose({"": levels}) if own else known)
        notes = (f"holds more than 8 bits, others did not: taken as {scale}",) if own else ()
        return decode.on_scale(photo, scale), scale, notes


def size_of(photo: Decoded | Samples) -> tuple[int, int]:
    """Width and height in pixels."""
    if isinstance(photo, Decoded):
        return photo.width, photo.height
    return photo.values.shape[1], photo.values.shape[0]
