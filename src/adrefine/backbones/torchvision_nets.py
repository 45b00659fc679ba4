"""torchvision/<network>: any network of torchvision that is a chain of blocks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from adrefine.backbones.library import Level, LibraryNet, downloading, fill, refuse_unknown
from adrefine.errors import UserError

_PROBE = 224  # pixels a side of the image that shows the strides


class Torchvision(LibraryNet):
    """Maps after the last block of each stride.

    A chain is a network whose blocks each read what the one before gave. VGG, ResNet, DenseNet, EfficientNet,
    MobileNet, RegNet, ConvNeXt and Swin are.

    Raises:
        UserError: there is no such network, or it is no chain; or its weights are neither in the file nor to
            be downloaded.
    """

    def __init__(self, backbone: str, weights: Path | None) -> None:
        from torchvision import models

        name = backbone.partition("/")[2]
        refuse_unknown(backbone, models.list_models(module=models))
        super().__init__(name)
        with downloading(backbone):
            self.net = models.get_model(name, weights=None if weights else "DEFAULT").eval()
        if weights:
            fill(self.net, weights, backbone)
        chain = [] if hasattr(self.net, "transform_input") else _chain(self.net)
        last = {level.stride: place for place, (_, level, _) in enumerate(chain)}
        if len(last) < 2:
            raise UserError(f"embed.backbone = {backbone} is no chain of blocks: take a network of timm/")
        self.blocks = [block for block, _, _ in chain]  # no modules of their own: the network has them
        self.ends = tuple(sorted(last.values()))
        self.rows = tuple(chain[end][2] for end in self.ends)
        self.offer(chain[end][1] for end in self.ends)

    def at(self, images: torch.Tensor, levels: tuple[int, ...]) -> list[torch.Tensor]:
        """See `LibraryNet.at`."""
        maps, wanted = [], [self.ends[level] for level in levels]
        for place, block in enumerate(self.blocks[: max(wanted) + 1]):
            images = block(images)
            if place in wanted:
                rows = self.rows[self.ends.index(place)]
                maps.append(images.permute(0, 3, 1, 2) if rows else images)
        return maps


Step = tuple[nn.Module, Level, bool]  # a block, what it gives, and whether channels come last in it


def _chain(net: nn.Module) -> list[Step]:
    """The blocks of `net` from its input on, as far as each reads what the one before gave, in one pass."""
    seen: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []

    def note(block: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        seen.append((block, given[0], made))

    hooks = [block.register_forward_hook(note) for block in _blocks(net)]
    image = torch.zeros(1, 3, _PROBE, _PROBE)
    with torch.no_grad():
        net(image)
    for hook in hooks:
        hook.remove()
    chain: list[Step] = []
    for block, given, made in seen:
        gives = _level(made)
        if given is not image or gives is None or isinstance(block, nn.AdaptiveAvgPool2d):
            break
        chain.append((block, *gives))
        image = made
    return chain


def _blocks(net: nn.Module) -> list[nn.Module]:
    """The parts of `net`; of those that are sequences, their parts."""
    blocks: list[nn.Module] = []
    for part in net.children():
        blocks += list(part.children()) if isinstance(part, nn.Sequential) else [part]
    return blocks


def _level(made: torch.Tensor) -> tuple[Level, bool] | None:
    """What a block gives; None: no square maps."""
    if made.ndim != 4:
        return None
    _, first, second, third = made.shape
    if second == third:
        return Level(first, round(_PROBE / third)), False
    return (Level(third, round(_PROBE / second)), True) if first == second else None
