"""The pictures of a review's photos. It never changes, so it needs no lock: a run makes another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adrefine.errors import UserError
from adrefine.params import Dataset
from adrefine.review_page import pictures
from adrefine.reviewing.project import Review
from adrefine.reviewing.session import Session


@dataclass(frozen=True)
class Album:
    """Where the pictures of the photos come from.

    Attributes:
        files: by id, the photo at working size. taken: by id, source and scale of the manifest.
        session: has the maps.
    """

    files: Mapping[str, Path]
    taken: Mapping[str, tuple[str, str]]
    dataset: Dataset
    session: Session

    @classmethod
    def of(cls, review: Review, ids: Mapping[str, int]) -> Album:
        """Of the photos `ids` of a review."""
        rows = review.noisy.set_index("image_id").loc[list(ids), ["path", "source", "scale"]]
        files = {str(name): Path(path) for name, path in rows["path"].items()}
        told = zip(rows["source"].map(str), rows["scale"].map(str), strict=True)
        return cls(files, dict(zip(files, told, strict=True)), review.settings.dataset, review.session)

    def picture(self, kind: str, image_id: str) -> tuple[bytes | Path, str] | None:
        """Content or file, and its type; None where there is none.

        Args:
            kind: photo | native | thumbnail | map.

        Raises:
            UserError: there is no such photo.
        """
        if image_id not in self.files:
            raise UserError(f"no training or held-out photo has the id {image_id!r}")
        file = self.files[image_id]
        if kind == "photo":
            return (file, "image/png") if file.is_file() else None
        if kind == "map":
            return self._map(image_id)
        if kind == "native":
            made = pictures.native(self.dataset, *self.taken[image_id])
            return self.picture("photo", image_id) if made is None else (made, "image/jpeg")
        made = pictures.small(file, image_id)
        return None if made is None else (made, "image/jpeg")

    def _map(self, image_id: str) -> tuple[bytes, str] | None:
        place, size = self.session.place.get(image_id), pictures.size_of(self.files[image_id])
        if place is None or size is None:
            return None
        return pictures.heat(self.session.photos.map(place), size), "image/png"
