"""An image model of anomalib, trained by its engine and asked for one photo at a time.

Its raw scores count: no post-processor of anomalib normalizes them. A model that stores training photos
(Patchcore and its like) starts afresh at a warm start, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from adrefine.detectors.anomalib import library
from adrefine.detectors.anomalib.settings import Settings
from adrefine.detectors.base import Images
from adrefine.detectors.photos import decoded, open_photos, size_of
from adrefine.detectors.trained import Array, Log, Trained
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.paths import PIXELS
from adrefine.places.evidence import robust
from adrefine.runtime import hardware
from adrefine.runtime.seeds import derived_seed

_VERSION = "anomalib.json"
_LARGEST = 50.0  # exponent of a map's value, as of a score
_SHARE = 0.25


class Anomalib(Trained):
    """See the module.

    Attributes:
        filled: whether a network that is built gets all weights from elsewhere, so that none are fetched.
        map_unit: median and robust deviation of the largest values of maps of held-out photos; None: no maps.
    """

    title: ClassVar = "anomalib"
    kind: ClassVar = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.filled = False
        self.map_unit: tuple[float, float] | None = None

    def extra(self) -> dict[str, Any]:
        return {"map_unit": self.map_unit}

    def take(self, extra: dict[str, Any]) -> None:
        self.map_unit = extra["map_unit"]

    def measure(self, images: Images) -> dict[str, int]:
        return {}

    def build(self, shape: dict[str, int]) -> nn.Module:
        made: nn.Module = library.build(self.settings, self.filled)
        return made

    def learn(self, images: Images, steps: int, first: int = 0) -> Log:
        if first and library.at_once(self.net):
            self.net, steps, first = self._new(), self.steps, 0
        torch.manual_seed(derived_seed("anomalib", self.settings.seed, first))
        net = self.ready().train()
        log = library.train(net, self._files(images), self.settings, steps, self.device)
        self._fill(net.state_dict())
        return log

    def watch(self, learned: Images, held: Images) -> None:
        super().watch(learned, held)
        self.map_unit = self._unit_of_maps(held)

    def fit(self, images: Images, *, warm_start: bool = False) -> Log:
        known = self.unit is not None
        log = super().fit(images, warm_start=warm_start)
        if not known and self.map_unit is None:  # so few photos that none was held out
            self.map_unit = self._unit_of_maps(images)
        return log

    def values(self, images: Images) -> Array:
        return np.array([self._asked(file)[0] for file in self._files(images)], dtype=np.float64)

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        """Its own maps over those of a usual photo, at the size of each file; over 0. None: it has none."""
        if self.map_unit is None:
            return None
        middle, spread = self.map_unit
        rows = []
        for seen, file in zip(self._files(images), files, strict=True):
            units = (self._map(seen) - middle) / spread
            rows.append(_sized(np.exp(np.clip(_SHARE * units, -_LARGEST, _LARGEST)), size_of(file)))
        return np.stack(rows) if rows else np.zeros((0, 1, 1), np.float32)

    def save(self, folder: Path) -> None:
        super().save(folder)
        write_json(folder / _VERSION, {"anomalib": library.version()})

    def load(self, folder: Path) -> None:
        if (folder / _VERSION).exists():
            _refuse_other(folder, str(read_json(folder / _VERSION).get("anomalib")))
        self.filled = True
        try:
            super().load(folder)
        finally:
            self.filled = False

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, of which not every one can be copied: its weights are enough."""
        state = None if self.net is None else self.net.state_dict()
        return {**vars(self), "net": state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, net=None)
        if state["net"] is not None:
            self._fill(state["net"])

    def _fill(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put weights into a new network: their layout in memory decides the last bits of a score, and now is
        as it will be wherever they are loaded."""
        self.filled = True
        try:
            self.net = self._new()
        finally:
            self.filled = False
        self.net.load_state_dict(state)
        self.net.eval()

    def _unit_of_maps(self, images: Images) -> tuple[float, float] | None:
        maps = [self._asked(file)[1] for file in self._files(images)]
        largest = [found.max() for found in maps if found is not None]
        return robust(np.array(largest, dtype=np.float64)) if largest else None

    def _map(self, file: Path) -> Array:
        found = self._asked(file)[1]
        assert found is not None
        return found

    @torch.no_grad()
    def _asked(self, file: Path) -> tuple[float, Array | None]:
        """Score and map (h, w) of one photo."""
        net = self.ready().eval()
        pixels = decoded(str(file), "RGB", None, Image.Resampling.BILINEAR)
        photo = pixels.expand(3, -1, -1).float().div(255)[None].to(self.device)
        with hardware.one_core_each():  # `net(photo)` resizes by another rule than training does
            told = net.model(net.pre_processor.transform(photo))
        plane, told_score = told.anomaly_map, told.pred_score
        if plane is not None:
            plane = _uncropped(net, plane.reshape(plane.shape[-2:])).double().cpu()
        score = float((plane.max() if told_score is None else told_score).reshape(-1)[0])
        if not np.isfinite(score):
            raise UserError(
                f"anomalib's {self.settings.model} scores {file.name} as {score}: set anomalib.epochs to "
                "another number, or other anomalib.args"
            )
        return score, None if plane is None else plane.numpy()

    def _files(self, images: Images) -> list[Path]:
        photos = open_photos(images.prepared / PIXELS, 0, False, 0.0)
        return [Path(photos.path(name)) for name in images.ids]


def _uncropped(net: Any, plane: torch.Tensor) -> torch.Tensor:
    """The map of a model that looks at the middle of the photo alone, as one of all of it."""
    steps = getattr(getattr(net.pre_processor, "transform", None), "transforms", [])
    sizes = {type(step).__name__: tuple(step.size) for step in steps if hasattr(step, "size")}
    whole, seen = sizes.get("Resize"), sizes.get("CenterCrop")
    if whole is None or seen is None or len(whole) != 2 or whole == seen:
        return plane
    height, width = (round(side * a / b) for side, a, b in zip(plane.shape, whole, seen, strict=True))
    top, left = (height - plane.shape[0]) // 2, (width - plane.shape[1]) // 2
    sides = (left, width - plane.shape[1] - left, top, height - plane.shape[0] - top)
    return F.pad(plane, sides, value=float(plane.min()))


def _sized(plane: Array, size: tuple[int, int]) -> np.ndarray:
    grid = torch.from_numpy(plane.astype(np.float32))[None, None]
    return F.interpolate(grid, size, mode="bilinear", align_corners=False)[0, 0].numpy()


def _refuse_other(folder: Path, trained: str) -> None:
    """Refuse a model of another anomalib: the same weights may mean another network there."""
    there = library.version()
    if trained.split(".")[:2] != there.split(".")[:2]:
        raise UserError(
            f"{folder} was trained by anomalib {trained}, {there} is installed: "
            f"pip install anomalib=={trained}"
        )
