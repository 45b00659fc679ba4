"""A transformer's positions, resized to the image, as constants of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode


class _Bicubic(TorchFunctionMode):
    """Keeps what bicubic interpolation gives, or gives what was kept, in the order of the calls."""

    def __init__(self, kept: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.kept, self.replays = list(kept), bool(kept)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.interpolate or kwargs.get("mode") != "bicubic":
            return func(*args, **kwargs)
        if self.replays and self.kept:
            return self.kept.pop(0)
        made = func(*args, **kwargs)
        if not self.replays:
            self.kept.append(made.detach())
        return made


@contextmanager
def resized_positions(net: nn.Module, example: torch.Tensor) -> Iterator[None]:
    """Trace `net` in this context: what it interpolates bicubically becomes a constant that torch computed.

    Vision transformers do so with their positions, which no image changes; OpenVINO's interpolation differs
    from torch's by as much as 0.4 % of the largest value of the maps.
    """
    with torch.no_grad(), _Bicubic() as first:
        net(example)
    with _Bicubic(first.kept):
        yield
