"""Images for distillation, read when they are needed: memory does not grow with their number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adrefine.datasets.formats import FORMATS, SUFFIXES, make_ready
from adrefine.errors import UserError
from adrefine.runtime.seeds import derived_seed

_TRIES = 20  # images read in place of an unreadable one
Pair = tuple[torch.Tensor, torch.Tensor]  # the PDN's input (3, s, s) and the backbone's (3, 2s, 2s), uint8


def find(folder: Path) -> list[Path]:
    """Image files below `folder`, sorted.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"pretrain_pdn.images: {folder} is no folder: make it, or name one of generic photos")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


@dataclass(frozen=True)
class Sampler:
    """Random views of `paths` that depend on (seed, step, place in the batch) alone, so that a resumed run
    sees what an uninterrupted one does.

    Attributes:
        side: pixels of the PDN's input; the backbone sees twice that (EAD: 256 and 512).
        min_crop: smallest side of the random square crop, as a share of the image's shorter side.
        grayscale: share of the views without colour (Algorithm 1, line 4).
    """

    paths: list[Path]
    side: int
    min_crop: float
    grayscale: float
    seed: int

    def batch(self, step: int, size: int) -> Pair:
        """The views of a step: (size, 3, side, side) and (size, 3, 2 side, 2 side), uint8."""
        small, large = zip(*(self.view(step, place) for place in range(size)), strict=True)
        return torch.stack(small), torch.stack(large)

    def view(self, step: int, place: int) -> Pair:
        """A random square crop of a random image, mirrored and grey by chance, in both sizes."""
        rng = np.random.default_rng(derived_seed("distillation", self.seed, step, place))
        image = read_any(self.paths, int(rng.integers(len(self.paths))))
        share, left, top = rng.uniform(self.min_crop, 1), rng.random(), rng.random()
        mirrored, grey = rng.random() < 0.5, rng.random() < self.grayscale
        crop = share * min(image.size)
        left, top = left * (image.width - crop), top * (image.height - crop)
        image = image.convert("L").convert("RGB") if grey else image
        box = (left, top, left + crop, top + crop)
        small, large = (as_tensor(image, side, box) for side in (self.side, 2 * self.side))
        return (small.flip(2), large.flip(2)) if mirrored else (small, large)


def whole(path: Path, side: int) -> torch.Tensor:
    """A whole image as (3, side, side) uint8."""
    return as_tensor(read(path), side, None)


def read_any(paths: list[Path], index: int) -> Image.Image:
    """Image `index`, or the first readable one after it: a few bad files must not stop a run of days.

    Raises:
        UserError: many in a row are unreadable.
    """
    for offset in range(_TRIES):
        try:
            return read(paths[(index + offset) % len(paths)])
        except UserError as error:
            last = error
    raise last


def read(path: Path) -> Image.Image:
    """An image in RGB.

    Raises:
        UserError: it is missing, damaged or no image.
    """
    make_ready()
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.convert("RGB")
    except Exception as error:  # a decoder may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} cannot be read as an image ({reason}): remove it") from None


def as_tensor(image: Image.Image, side: int, box: tuple[float, float, float, float] | None) -> torch.Tensor:
    """`box` of an image (null: all of it) resized to (3, side, side) uint8, antialiased."""
    small = image.resize((side, side), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)
