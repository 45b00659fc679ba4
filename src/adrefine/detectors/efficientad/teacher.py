"""The frozen teacher: the distilled PDN, its output normalized channel by channel (docs/methods.md 5)."""

from __future__ import annotations

from pathlib import Path

import torch

from adrefine.backbones.engine import start
from adrefine.backbones.pdn import read
from adrefine.detectors.photos import Kept, Photos, Window
from adrefine.io import read_json
from adrefine.params import Runtime
from adrefine.runtime.opened import opened

_OUTPUTS = 2**30  # bytes of outputs kept in memory on a CPU; a GPU makes them faster than it fetches them
_SMALLEST = 1e-3  # deviation of a channel that hardly changes


class Teacher:
    """The PDN of a prepared folder.

    `meta.json` has mean and deviation of its channels over photos at 256²: one normalization for all fits, so
    that folds and rounds share its outputs. It also says which engine computes it, and how precisely;
    students learn in that precision; and whether photos come once (`passing`), so that keeping is in vain.

    Attributes:
        size: small or medium; the student has the same.
    """

    def __init__(self, folder: Path, padding: bool) -> None:
        meta = read_json(folder / "meta.json")
        self.size: str = meta["size"]
        mean, std = (torch.tensor(meta[name]).view(1, -1, 1, 1) for name in ("channel_mean", "channel_std"))
        self.net = read(folder / "pdn.pt").network(padding).eval().requires_grad_(False)
        self.engine = start(self.net, Runtime.model_validate(meta["runtime"]))
        self.device, self.dtype = self.engine.device, self.engine.dtype
        self.mean, self.std = mean.to(self.device), std.clamp(min=_SMALLEST).to(self.device)
        passing = meta.get("passing", False) or self.device.type != "cpu"
        self._kept = Kept(0 if passing else _OUTPUTS)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized features (b, 384, h', w') of images (b, 3, side, side) in 0..1, on the device.

        They are rounded to float16, kept or not, so that memory decides no result.
        """
        with torch.no_grad():
            return ((self.engine(images)[0] - self.mean) / self.std).half().float()

    def of_window(self, photos: Photos, window: Window) -> torch.Tensor:
        """The same (384, h', w') for a window of a photo as it is: computed once."""

        def make() -> torch.Tensor:
            pixels = photos.pixels(window)[None].to(self.device, non_blocking=True)
            return self(pixels)[0].half().contiguous()

        return self._kept.get(window, make).float()


def open_teacher(folder: Path, side: int, padding: bool) -> Teacher:
    """The teacher of a prepared folder for windows of `side` pixels, read once by each process."""
    own = (folder / "meta.json").resolve()  # where the folder is one photo's, of a model that stays
    return opened(_of_side, own, own.parent, side, padding)


def _of_side(folder: Path, side: int, padding: bool) -> Teacher:
    """`side` is one of the arguments, for the outputs kept are those of one size."""
    return Teacher(folder, padding)
