"""Runs on several processes: the first of a cell alone, for it trains what the others start from."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from adrefine.errors import UserError
from adrefine.runtime.parallel import processes

J = TypeVar("J")
R = TypeVar("R")


def results(work: Callable[[J], R], cells: Sequence[Sequence[J]], workers: int) -> Iterator[tuple[J, R]]:
    """Each job and its result as it is done, in any order.

    Args:
        work: a function of a module; processes must be able to import it.
        cells: jobs that belong together: the first is done before the others start. None is empty.
        workers: processes; with one, all is done in this process, in order.

    Raises:
        UserError: a process died. Whatever `work` raises.
    """
    if workers == 1:
        yield from ((job, work(job)) for cell in cells for job in cell)
        return
    closed, ready = deque[Sequence[J]](cells), deque[J]()
    running: dict[Future[R], tuple[J, Sequence[J]]] = {}
    pool = processes(work, workers)
    try:
        while closed or ready or running:
            while len(running) < workers and (ready or closed):
                cell = [ready.popleft()] if ready else closed.popleft()
                job, others = cell[0], cell[1:]
                running[pool.submit(work, job)] = job, others
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                job, others = running.pop(future)
                ready.extend(others)
                yield job, result
    except BrokenProcessPool:
        lost = " or ".join(str(job) for job, _ in running.values())
        raise UserError(
            f"a process died (out of memory?) at {lost}: run again with fewer --workers; it continues "
            "from here"
        ) from None
    finally:
        for child in multiprocessing.active_children() if running else []:
            child.terminate()  # an error or Ctrl-C does not wait for a long run, which is lost anyway
        pool.shutdown(wait=True, cancel_futures=True)
