"""The frozen teacher: the distilled PDN, its output normalized channel by channel (docs/methods.md 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from adrefine.backbones.engine import start
from adrefine.backbones.pdn import CHANNELS, Pdn, read
from adrefine.detectors.photos import Kept, Photos, Window
from adrefine.io import read_json
from adrefine.params import Runtime
from adrefine.runtime.opened import opened

_OUTPUTS = 2**30  # bytes of outputs kept in memory on a CPU; a GPU makes them faster than it fetches them
_SMALLEST = 1e-3  # deviation of a channel that hardly changes


class Teacher:
    """The PDN of a prepared folder.

    `meta.json` has mean and deviation of its channels over photos at 256²: outputs that all fits share. It
    says which engine computes it, and how precisely; students learn in that precision; whether photos
    come once (`passing`), so that keeping is in vain.

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


@dataclass(frozen=True)
class Standardized:
    """A teacher whose channels have mean 0 and deviation 1 over the photos that a model learns.

    At the side that it sees them: at 128² the means of 256² are off by up to a deviation.

    Attributes:
        mean, std: (384,), of the teacher's output.
    """

    teacher: Teacher
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def over(cls, teacher: Teacher, photos: Photos, windows: Iterable[Window]) -> Standardized:
        """Mean and deviation over all positions of `windows`, in double precision."""
        count, sums = 0, torch.zeros(2, CHANNELS, dtype=torch.float64)
        for window in windows:
            values = teacher.of_window(photos, window).double().cpu().flatten(1)
            count += values.shape[1]
            sums += torch.stack([values.sum(dim=1), values.square().sum(dim=1)])
        mean, square = sums / count
        std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=_SMALLEST)
        return cls(teacher, mean.float(), std.float())

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """See `Teacher`."""
        return self._scaled(self.teacher(images))

    def of_window(self, photos: Photos, window: Window) -> torch.Tensor:
        """See `Teacher.of_window`."""
        return self._scaled(self.teacher.of_window(photos, window))

    @property
    def net(self) -> Pdn:
        return self.teacher.net

    @property
    def size(self) -> str:
        return self.teacher.size

    @property
    def device(self) -> torch.device:
        return self.teacher.device

    @property
    def dtype(self) -> torch.dtype:
        return self.teacher.dtype

    def _scaled(self, values: torch.Tensor) -> torch.Tensor:
        """(…, 384, h', w')."""
        mean, std = (one.to(values.device).view(-1, 1, 1) for one in (self.mean, self.std))
        return (values - mean) / std


def open_teacher(folder: Path, side: int, padding: bool) -> Teacher:
    """The teacher of a prepared folder for windows of `side` pixels, read once by each process."""
    own = (folder / "meta.json").resolve()  # where the folder is one photo's, of a model that stays
    return opened(_of_side, own, own.parent, side, padding)


def _of_side(folder: Path, side: int, padding: bool) -> Teacher:
    """`side` is one of the arguments, for the outputs kept are those of one size."""
    return Teacher(folder, padding)
