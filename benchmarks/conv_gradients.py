"""How long the gradients of a PDN take on one core: PyTorch's convolutions and those of `backbones.conv`.

    python -m benchmarks.conv_gradients

Forward and backward of the student (768 channels) on one image, the two kinds in turns, median of the rounds;
to results/conv_gradients.json.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from adrefine.backbones import conv
from adrefine.backbones.pdn import Pdn
from adrefine.io import write_json
from benchmarks import common

DTYPE = torch.float32  # of learning on a CPU


def main() -> None:
    """Time both, write and print the result."""
    torch.set_num_threads(1)
    table = {str(side): _times(side) for side in (128, 256)}
    result = {"dtype": str(DTYPE), "milliseconds per image": table}
    write_json(common.RESULTS / "conv_gradients.json", result)
    print(result)


def _times(side: int) -> dict[str, float]:
    net = Pdn("small", 768).to(memory_format=torch.channels_last).train()
    image = torch.rand(1, 3, side, side).contiguous(memory_format=torch.channels_last)
    kinds = {"pytorch": nn.Conv2d.forward, "adrefine": conv.Conv2d.forward}

    def job(forward: Callable[..., torch.Tensor]) -> None:
        conv.Conv2d.forward = forward  # type: ignore[method-assign]
        step(net, image, DTYPE)

    times = common.milliseconds({kind: partial(job, forward) for kind, forward in kinds.items()})
    return times | {"ratio": round(times["pytorch"] / times["adrefine"], 2)}


def step(net: nn.Module, image: torch.Tensor, dtype: torch.dtype) -> None:
    """Forward and backward of one image, the convolutions in `dtype`."""
    half = dtype != torch.float32
    with torch.autocast("cpu", dtype=dtype, enabled=half, cache_enabled=False):
        output = net(image)
    torch.autograd.grad(output.float().pow(2).mean(), list(net.parameters()))


if __name__ == "__main__":
    main()
