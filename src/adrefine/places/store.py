"""Maps of places and pooled vectors of every photo and twin on disk: what `embed` leaves in data/prepared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from adrefine.features.store import Rows
from adrefine.runtime.opened import opened


class Places(Rows):
    """Read-only: `maps` (n, places, channels) and `pooled` (n, dim), float16."""

    arrays = ("maps", "pooled")

    def maps(self, ids: Iterable[str]) -> np.ndarray:
        """Maps (n, places, channels) float16 of the images `ids`, in that order."""
        return self.read("maps", ids)

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        """Pooled vectors (n, dim) float16 of the images `ids`, in that order."""
        return self.read("pooled", ids)


def open_places(folder: Path) -> Places:
    """The places in `folder` (data/prepared/places); opened once by each process."""
    return opened(Places, folder / "meta.json", folder)
