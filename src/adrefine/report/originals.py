"""The photos behind the images at working size: larger, in their own shape, and what opens them."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from adrefine.ingestion import decode, scales, sources
from adrefine.ingestion.damage import BadPhoto

SIDES = (1024, 768, 512)  # pixels of the longer side; the first that fits is taken
BUDGET = 11_000_000  # characters of all, so that the page stays under 20 MB
_QUALITY = 80  # JPEG


@dataclass(frozen=True)
class Originals:
    """Where the photos are.

    Attributes:
        root: dataset.root; None: they are generated, or gone, and the images at working size stand for them.
        reports: the folder of the page, from which links lead.
    """

    root: Path | None = None
    reports: Path = Path("reports")
    max_megapixels: float = 100
    follow_links: bool = False

    def link(self, row: Mapping[Any, Any]) -> str:
        """What opens the photo of a manifest's row: relative to the page where that can be, so that a project
        may move."""
        own = self._own(row)
        if own is not None and own.is_absolute():
            return own.as_uri()
        path = own or Path(str(row.get("path") or ""))
        return quote(Path(os.path.relpath(path, self.reports)).as_posix()) if path.name else ""

    def large(self, rows: Iterable[Mapping[Any, Any]]) -> dict[str, str]:
        """By image_id a JPEG in base64, all of the largest side with which they fit together; none, if they
        do not even at the smallest: their links open them."""
        images = {str(row["image_id"]): image for row in rows if (image := self._read(row)) is not None}
        for side in SIDES:
            made = {name: _jpeg(image, side) for name, image in images.items()}
            if sum(map(len, made.values())) <= BUDGET:
                return made
        return {}

    def _own(self, row: Mapping[Any, Any]) -> Path | None:
        source = row.get("source")
        if self.root is None or not isinstance(source, str) or not source:
            return None
        path = self.root / source
        return path if path.is_file() else None

    def _read(self, row: Mapping[Any, Any]) -> Image.Image | None:
        """The photo, upright, no larger than the largest side; the image at working size if it is gone."""
        if self._own(row) is not None and self.root is not None:
            try:
                data = sources.read_bytes(
                    self.root.resolve(), str(row["source"]), self.max_megapixels, self.follow_links
                )
                decoded = decode.read(data, self.max_megapixels, SIDES[0])
            except BadPhoto:
                return None
            if not isinstance(decoded, decode.Decoded):
                scale = str(row.get("scale") or scales.EIGHT_BIT)
                decoded = decode.on_scale(decoded, scales.parse(scale))
            return _shrunk(decoded.image, SIDES[0])
        try:
            with Image.open(str(row.get("path") or "")) as image:
                return _shrunk(image.convert("L" if image.mode == "L" else "RGB"), SIDES[0])
        except (OSError, ValueError, SyntaxError):
            return None


AT_WORKING_SIZE = Originals()


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def _jpeg(image: Image.Image, side: int) -> str:
    buffer = io.BytesIO()
    _shrunk(image, side).save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
