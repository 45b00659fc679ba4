"""Photos of data/prepared/pixels as windows: whole photos at the training size, or tiles of it.

What has been read stays in memory, up to a bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adrefine.areas.region import find
from adrefine.detectors.efficientad import tiling
from adrefine.errors import UserError
from adrefine.io import read_csv
from adrefine.runtime.opened import opened

_PIXELS = 512 * 2**20  # bytes of decoded photos kept in memory
_FILES = ("pdn.pt", "meta.json", "images.csv", "synthetic.csv", "generic.csv")


@dataclass(frozen=True)
class Window:
    """A square part of the photo in `path`: from (`top`, `left`); -1: all of it, resized."""

    path: str
    top: int = -1
    left: int = -1


@dataclass(frozen=True)
class Twin:
    """A synthetic defect made of a photo: files of the changed photo and of its mask."""

    path: str
    mask_path: str


class Kept:
    """Tensors by key, kept in memory until they are `most` bytes; later ones are made anew each time."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._found: dict[object, torch.Tensor] = {}
        self._lock = threading.Lock()

    def get(self, key: object, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The tensor of `key`, made by `make` if it is not here."""
        tensor = self._found.get(key)
        if tensor is not None:
            return tensor
        made = make()
        with self._lock:
            size = made.element_size() * made.nelement()
            if key not in self._found and self.bytes + size <= self.most:
                self._found[key] = made
                self.bytes += size
        return made


class Photos:
    """Photos, synthetic twins and generic images of a prepared folder, seen at `side` pixels.

    Attributes:
        region: what counts of the photos; None: all.

    Args:
        tiles: cut photos larger than `side` into tiles instead of shrinking them.
        overlap: share of a tile that its neighbour covers too.

    Raises:
        UserError: the folder is not complete.
    """

    def __init__(self, folder: Path, side: int, tiles: bool, overlap: float) -> None:
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{folder} has no {missing[0]}: run `dvc repro pretrain_pdn`")
        self.folder, self.side, self.tiles, self.overlap = folder, side, tiles, overlap
        images, synthetic, generic = (
            read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
            for name in ("images", "synthetic", "generic")
        )
        self._path = dict(zip(images["image_id"], images["path"], strict=True))
        self._twins: dict[str, list[Twin]] = {}
        rows = synthetic[["source_id", "path", "mask_path"]]
        for source, path, mask_path in rows.itertuples(index=False):
            self._twins.setdefault(source, []).append(Twin(path, mask_path))
        self.generic: list[str] = generic["path"].tolist()
        self.kept = Kept(_PIXELS)
        self.region = find(folder)

    def path(self, image_id: str) -> str:
        """File of a photo."""
        if image_id not in self._path:
            raise UserError(f"{self.folder} does not know image {image_id}: run `dvc repro pretrain_pdn`")
        return self._path[image_id]

    def twins(self, image_id: str) -> list[Twin]:
        """Synthetic defects made of a photo."""
        return self._twins.get(image_id, [])

    def windows(self, path: str) -> list[Window]:
        """The windows that cover a photo."""
        height, width = size_of(path)
        if not self.tiles or min(height, width) <= self.side:
            return [Window(path)]
        places = tiling.places(height, width, self.side, self.overlap)
        return [Window(path, top, left) for top, left in places]

    def pixels(self, window: Window) -> torch.Tensor:
        """The window as (3, side, side) float32 in 0..1."""
        pixels = self._read(window, "RGB", Image.Resampling.BILINEAR)
        return pixels.expand(3, -1, -1).float().div(255)

    def mask(self, path: str, window: Window) -> torch.Tensor:
        """The same window of the mask in `path` as (side, side) bool; a hairline survives the resizing."""
        place = Window(path, window.top, window.left)
        return self._read(place, "L", Image.Resampling.BOX)[0] > 0

    def _read(self, window: Window, mode: str, resampling: Image.Resampling) -> torch.Tensor:
        """(1 or 3, side, side) uint8."""
        whole, side = window.top < 0, self.side
        size = (side, side) if whole else None
        whole_photo = self.kept.get(
            (window.path, whole), lambda: decoded(window.path, mode, size, resampling)
        )
        if whole:
            return whole_photo
        return whole_photo[:, window.top : window.top + side, window.left : window.left + side]


def decoded(path: str, mode: str, size: tuple[int, int] | None, resampling: Image.Resampling) -> torch.Tensor:
    """A picture as (1 or 3, h, w) uint8; grey ones keep one channel."""
    try:
        with Image.open(path) as file:
            image = file.copy() if file.mode == "L" else file.convert(mode)
            image = image.resize(size, resampling) if size else image
            pixels = torch.from_numpy(np.array(image))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): run `dvc repro pretrain_pdn`") from None
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def size_of(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}): run `dvc repro pretrain_pdn`") from None


def open_photos(folder: Path, side: int, tiles: bool, overlap: float) -> Photos:
    """The photos in `folder`, read once by each process, and again when they were prepared anew."""
    return opened(Photos, folder / "meta.json", folder, side, tiles, overlap)
