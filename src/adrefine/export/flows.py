"""Normalizing flows of FrEIA by operations that all runtimes know."""

from __future__ import annotations

import copy

import torch
from torch import nn


class _Permuted(nn.Module):
    """FrEIA's `PermuteRandom`, by an operation that all runtimes know."""

    def __init__(self, order: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order.detach().clone())

    def forward(
        self, x: tuple[torch.Tensor], jac: bool = True, **given: object
    ) -> tuple[tuple[torch.Tensor], torch.Tensor]:
        """See FrEIA."""
        return (x[0].index_select(1, self.get_buffer("order")),), x[0].new_zeros(len(x[0]))


def without_indexing(flow: nn.Module) -> nn.Module:
    """A copy of a `SequenceINN` that picks its channels with `index_select`."""
    made = copy.deepcopy(flow)
    steps = made.module_list
    assert isinstance(steps, nn.ModuleList)
    for place, step in enumerate(steps):
        if hasattr(step, "perm"):
            assert isinstance(step.perm, torch.Tensor)
            steps[place] = _Permuted(step.perm)
    return made
