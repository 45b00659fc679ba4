"""Work on CPU threads of one core each, or on the GPU; results in order, a few in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from adrefine.runtime import hardware

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def workers(on_gpu: int = 1) -> Iterator[ThreadPoolExecutor]:
    """`hardware.threads` threads, each running torch on one core alone; with CUDA `on_gpu` threads.

    Threads of one core never wait for each other inside a layer, and what one computes does not depend on
    the number of cores.
    """
    count = hardware.threads() if hardware.device().type == "cpu" else on_gpu
    with (
        hardware.one_core_each(),
        ThreadPoolExecutor(count, initializer=hardware.use_one_core) as pool,
    ):
        yield pool


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int = 0
) -> Iterator[R]:
    """`function` of every item, in the order of the items, with at most `ahead` (0: two a core) under way:
    memory does not grow with their number."""
    ahead = ahead or 2 * hardware.cores()
    pending: deque[Future[R]] = deque()
    waiting = iter(items)
    try:
        for item in waiting:
            pending.append(pool.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
