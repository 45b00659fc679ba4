"""Gradients of a batch, chunk by chunk on several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from adrefine.runtime.threads import in_order

T = TypeVar("T")
R = TypeVar("R")


def accumulate(
    weights: Sequence[torch.Tensor],
    chunks: Iterable[T],
    loss: Callable[[T], tuple[torch.Tensor, R]],
    pool: ThreadPoolExecutor,
) -> list[R]:
    """Set the gradients of `weights` to those of the chunks' losses together.

    They are added in the order of the chunks, whichever thread is first, so that the sum is the same for any
    number of threads.

    Args:
        loss: of a chunk: its part of the batch's loss, and what is to be returned of it.
    """

    def one(chunk: T) -> tuple[R, tuple[torch.Tensor, ...]]:
        part, told = loss(chunk)
        return told, torch.autograd.grad(part, weights)

    for weight in weights:
        weight.grad = None
    all_told = []
    for told, gradients in in_order(pool, one, chunks):
        all_told.append(told)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
    return all_told
