"""What networks on maps of places share: standardized maps, values and maps of one photo after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from adrefine.detectors.base import Images
from adrefine.detectors.photos import size_of
from adrefine.detectors.trained import LARGEST, Array, Trained
from adrefine.errors import UserError
from adrefine.paths import PLACES
from adrefine.places.maps import enlarged
from adrefine.places.store import Places, open_places
from adrefine.runtime import hardware

LARGEST_OF_MAPS = 5.0  # exponent of a value of a map
_FLAT = 1e-3  # deviation of a channel that hardly varies


class Standardized(nn.Module):
    """A network on maps (b, places, channels), each channel with deviation 1 on the photos learned."""

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(channels))

    def standard(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps in these units."""
        return (maps - self.centre) / self.spread

    def values(self, maps: torch.Tensor) -> torch.Tensor:
        """How odd each place is, (b, places), of maps as they are stored."""
        raise NotImplementedError


class OnPlaces(Trained):
    """A network on data/prepared/places; a photo is as odd as its worst place."""

    @abstractmethod
    def build(self, shape: dict[str, int]) -> Standardized: ...

    def measure(self, images: Images) -> dict[str, int]:
        places, channels = self.store(images).maps(images.ids[:1]).shape[1:]
        if places < 4:
            raise UserError(f"{self.title} needs at least 4 places: set embed.places.grid to 2 or more")
        return {"side": round(places**0.5), "channels": channels}

    def settle(self, images: Images) -> None:
        maps = self.tensor(images, images.ids).flatten(0, 1)
        self.ready().centre.copy_(maps.mean(dim=0))
        self.ready().spread.copy_(maps.std(dim=0) + _FLAT)

    def store(self, images: Images) -> Places:
        """The maps of all images, on disk."""
        return open_places(images.prepared / PLACES)

    def tensor(self, images: Images, ids: Iterable[str]) -> torch.Tensor:
        """Maps (n, places, channels) float32 of `ids` on the device."""
        return torch.from_numpy(self.store(images).maps(ids)).float().to(self.device)

    @torch.no_grad()
    def places(self, images: Images) -> Array:
        """(n, places) how odd each place is; one photo after the other, so that none depends on another."""
        net = self.ready().eval()
        with hardware.one_core_each():
            rows = [net.values(self.tensor(images, [name]))[0].double().cpu().numpy() for name in images.ids]
        return np.stack(rows) if rows else np.zeros((0, 1))

    def values(self, images: Images) -> Array:
        worst: Array = self.places(images).max(axis=1)
        return worst

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """How odd each place is beside the worst one of a usual photo, at the size of each file; over 0."""
        rows: Any = np.exp(np.clip(self.in_units(self.places(images)), -LARGEST, LARGEST_OF_MAPS))
        maps = [enlarged(row, size_of(file)) for row, file in zip(rows, files, strict=True)]
        return np.stack(maps) if maps else np.zeros((0, 1, 1), np.float32)
