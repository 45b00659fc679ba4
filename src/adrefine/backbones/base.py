"""Frozen feature extractors: one interface, one file and one registry line each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adrefine.errors import UserError


class Backbone(nn.Module):
    """A frozen network that turns images into feature maps of chosen layers.

    Attributes:
        channels: channels of each returned feature map.
        mean, std: per-channel input normalization for images in 0..1.
        deep: blocks of two depths that maps of places are made of; none: the layers that it returns.
        early: blocks of strides 4, 8 and 16, PaDiM's three layers; none: the layers that it returns.
    """

    channels: tuple[int, ...]
    deep: tuple[int, ...] = ()
    early: tuple[int, ...] = ()
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet, torchvision's convention
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @abstractmethod
    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps [(b, c_i, h_i, w_i)] of normalized images (b, 3, h, w)."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps [(b, c_i, h_i, w_i)] of images (b, 3, h, w) with values in 0..1."""
        mean = torch.tensor(self.mean, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        return self.maps((images - mean) / std)

    def choose(self, blocks: tuple[int, ...]) -> None:
        """Return the maps of these blocks from now on, ascending; `channels` follows.

        Raises:
            UserError: it offers no choice, or has no such block.
        """
        raise UserError(
            f"embed.places.blocks: {type(self).__name__} returns the maps of fixed layers: set it to null"
        )

    def freeze(self) -> Backbone:
        """Switch to evaluation mode and stop gradients to the weights (not to the input)."""
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        return self


def chosen(
    blocks: tuple[int, ...], widths: Sequence[int], whose: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """These blocks, counted from 0, ascending, and the channels of their maps.

    Args:
        widths: channels of each block that there is. whose: what has them, for the message.

    Raises:
        UserError: there is no such block.
    """
    if not set(blocks) <= set(range(len(widths))):
        raise UserError(
            f"embed.places.blocks = {list(blocks)}: the blocks of {whose} are 0 to {len(widths) - 1}"
        )
    layers = tuple(sorted(blocks))
    return layers, tuple(widths[block] for block in layers)


def read_weights(path: Path, key: str = "embed.weights") -> dict[str, torch.Tensor]:
    """A state dict from a file of torch or safetensors, read as data, never as code; errors name `key`."""
    if not path.is_file():
        raise UserError(f"{key}: {path} is missing: give the path of a file of weights")
    try:
        content = _read(path)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{key}: {path} is not a weights file: {reason}") from None
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict):
        raise UserError(f"{key}: {path} holds no state dict")
    return state


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] != b"{":  # the header of safetensors: its length in 8 bytes, then JSON
        return torch.load(path, map_location="cpu", weights_only=True)
    from safetensors.torch import load_file

    return load_file(path)
