"""Jobs through a pool of processes, few at a time, so that memory does not grow with their number."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from adrefine.errors import UserError
from adrefine.runtime import progress
from adrefine.runtime.hardware import cores

J = TypeVar("J")
R = TypeVar("R")
_WAITING = 3  # batches per process that are handed out at the same time
_WORTH = 4  # fewer batches are done before a pool has started


def stream(
    work: Callable[[J], R],
    jobs: Sequence[J],
    *,
    label: str,
    unit: str,
    name: Callable[[J], str],
    remedy: str = "close other programs and run again",
    batch: int = 16,
    workers: int | None = None,
) -> Iterator[R]:
    """`work` of every job, in any order, each as it is done, with a progress bar on stderr.

    Args:
        work: a function of a module, or a `partial` of one; processes must be able to import it.
        label, unit: what the progress bar calls the whole and one job.
        name, remedy: what a job is called, and what to do, in the message when a process died.
        batch: jobs handed to a process at once; more of them when they are short.
        workers: processes; None: one a core. With one, or few jobs, all is done in this process.

    Raises:
        UserError: a process died, of too little memory or of a fault in a library. Whatever `work` raises.
    """
    workers = workers or cores()
    if workers == 1 or len(jobs) < _WORTH * batch:
        results: Iterator[R] = map(work, jobs)
    else:
        results = _pooled(work, jobs, batch, workers, name, remedy)
    yield from progress.over(results, total=len(jobs), label=label, unit=unit)


def _pooled(
    work: Callable[[J], R],
    jobs: Sequence[J],
    size: int,
    workers: int,
    name: Callable[[J], str],
    remedy: str,
) -> Iterator[R]:
    """At most `_WAITING` batches a process are under way."""
    batches = (jobs[start : start + size] for start in range(0, len(jobs), size))
    pool = processes(work, workers)
    running: dict[Future[list[R]], Sequence[J]] = {}
    try:
        while True:
            while len(running) < workers * _WAITING and (batch := next(batches, None)):
                running[pool.submit(_batch, work, batch)] = batch
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield from future.result()
                del running[future]
    except BrokenProcessPool:
        lost = [batch for future, batch in running.items() if not future.done() or future.exception()]
        lost = lost or [jobs]
        raise UserError(
            f"a process died (out of memory?) while it worked on one of {name(lost[0][0])} to "
            f"{name(lost[-1][-1])}: {remedy}{_unguarded()}"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def processes(work: Callable[[J], R], workers: int) -> ProcessPoolExecutor:
    """Processes that start with the module of `work` imported already, where the system can do that."""
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
    if os.name != "nt":
        context.set_forkserver_preload([__name__, getattr(work, "func", work).__module__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start)


def _unguarded() -> str:
    """What else may be the reason in a person's own script, for every process imports it again."""
    program = sys.modules["__main__"]
    script = str(getattr(program, "__file__", ""))
    if program.__spec__ is not None or not script.endswith(".py"):
        return ""
    guard = 'if __name__ == "__main__":'
    return f". In {os.path.basename(script)}, what starts the work must stand below `{guard}`"


def _batch(work: Callable[[J], R], jobs: Sequence[J]) -> list[R]:
    return [work(job) for job in jobs]


def _start() -> None:
    """Leave Ctrl-C to the main process, keep quiet about odd photos, and never outlive the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
