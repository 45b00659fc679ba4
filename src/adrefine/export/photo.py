"""What the graph starts with: a photo in 8 bits becomes the picture that detectors read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from adrefine.errors import UserError
from adrefine.export.resample import of_pillow
from adrefine.ingestion import fitting
from adrefine.ingestion.decision import PART
from adrefine.ingestion.preparation import Preparation

LETTERBOX = "letterbox"


@dataclass(frozen=True)
class Given:
    """What whoever calls the graph gives it: uint8, (1, height, width), or (1, height, width, 3) if `colour`.

    Attributes:
        whole: the photo as it is; else a picture that was brought to the working size before.
    """

    height: int
    width: int
    colour: bool
    whole: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input."""
        return (1, self.height, self.width, *([3] if self.colour else []))

    @property
    def mode(self) -> str:
        """As Pillow calls it."""
        return "RGB" if self.colour else "L"


def given(preparation: Preparation, seen: dict[str, Any], asked: str | None) -> Given:
    """What the graph of a model starts with.

    Args:
        seen: photos that trained, as the bundle has it. asked: `WIDTHxHEIGHT`, `working`, or None: the size
            of the photos that trained, if they have one and the graph can prepare them.

    Raises:
        UserError: the graph cannot start with photos.
    """
    colour = seen["modes"] != ["L"]
    if asked == "working":
        return Given(preparation.size, preparation.size, colour, False)
    if preparation.fit == PART:
        raise UserError(
            "this model's photos are turned and cropped to their part, which no graph can do: export with "
            "--input working, and bring photos to that picture yourself"
        )
    if asked is None:
        (least, width), (lowest, height) = seen["width"], seen["height"]
        if (least, lowest) == (width, height):
            return Given(height, width, colour, True)
        if preparation.fit == LETTERBOX:
            raise UserError(
                "this model's photos have several sizes, and one graph takes one size: export with "
                f"--input WIDTHxHEIGHT, such as {width}x{height}"
            )
        return Given(preparation.size, preparation.size, colour, False)
    width, height = _size(asked)
    return Given(height, width, colour, True)


class Prepared(nn.Module):
    """Input as `given` says to pictures (1, 1 or 3, size, size), grey levels 0 to 255, whole numbers."""

    def __init__(self, given: Given, preparation: Preparation) -> None:
        super().__init__()
        self.colour = given.colour
        self.resize: nn.Module | None = None
        self.strips = (0, 0, 0, 0)  # left, right, top, bottom
        if given.whole:
            size = preparation.size
            box, target, corner = fitting.geometry(given.width, given.height, size, preparation.fit)
            self.strips = (
                *(corner[0], size - target[0] - corner[0]),
                *(corner[1], size - target[1] - corner[1]),
            )
            self.border = target[0] + target[1]
            shrinks = given.width > target[0] or given.height > target[1]
            resize = partial(fitting.resized, shrinks=shrinks)
            gap = fitting.GAP if shrinks else None
            self.resize = of_pillow(resize, (given.width, given.height), target, box, gap)

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = photo.permute(0, 3, 1, 2).float() if self.colour else photo[:, None].float()
        if self.resize is None:
            return x
        x = self.resize(x)
        if not any(self.strips):
            return x
        shade = self._shade(x)
        left, right, top, bottom = self.strips
        return _between(_between(x, shade, left, right, 3), shade, top, bottom, 2)

    def _shade(self, x: torch.Tensor) -> torch.Tensor:
        """Median shade (1, c, 1, 1) of the border of pictures (1, c, h, w), as `fitting` has it."""
        edges = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, :, 0], x[:, :, :, -1]], dim=2)
        ordered, half = edges.sort(dim=2).values, self.border
        return torch.floor((ordered[:, :, half - 1] + ordered[:, :, half]) / 2)[:, :, None, None]


def _between(x: torch.Tensor, shade: torch.Tensor, before: int, after: int, axis: int) -> torch.Tensor:
    """x with so many rows or columns of `shade` before and after it."""

    def strip(count: int) -> torch.Tensor:
        size = list(x.shape)
        size[axis] = count
        return shade.expand(size)

    parts = [*([strip(before)] if before else []), x, *([strip(after)] if after else [])]
    return torch.cat(parts, dim=axis)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 8 and int(height) >= 8):
        raise UserError(f"--input {text}: write working, or WIDTHxHEIGHT in pixels, such as 1280x1024")
    return int(width), int(height)
