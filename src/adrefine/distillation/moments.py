"""Channel-wise mean and standard deviation of feature maps, streamed over images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from adrefine.distillation.images import whole
from adrefine.runtime import hardware
from adrefine.runtime.seeds import derived_seed
from adrefine.runtime.threads import in_order, workers


def of_images(
    function: Callable[[torch.Tensor], torch.Tensor], paths: Iterable[Path], side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (c,) of the maps (1, c, h, w) that `function` makes of whole images, `side`², 0..1.

    Source: EAD Algorithm 1, lines 5-11. The deviation is that of all positions of all images.
    """

    def sums(path: Path) -> tuple[torch.Tensor, torch.Tensor, int]:
        image = whole(path, side)[None].to(hardware.device()).float().div(255)
        maps = function(image).double()
        return maps.sum((0, 2, 3)).cpu(), maps.square().sum((0, 2, 3)).cpu(), maps[:, 0].numel()

    first, second, count = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 0
    with workers() as pool:
        for part in in_order(pool, sums, paths):
            first, second, count = first + part[0], second + part[1], count + part[2]
    mean, square = first / count, second / count
    return mean.float(), (square - mean.square()).clamp(min=0).sqrt().float()


def sample(paths: list[Path], names: list[str], most: int, seed: int) -> list[Path]:
    """At most `most` of `paths`, chosen by their `names` and the seed, in a fixed order."""
    ranked = sorted(zip(names, paths, strict=True), key=lambda pair: derived_seed("moments", seed, pair[0]))
    return [path for _, path in ranked[:most]]
