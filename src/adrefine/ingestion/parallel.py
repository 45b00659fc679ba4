"""Photos through a pool of processes, a bounded number at a time, so that memory does not grow with their
number."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from adrefine.errors import UserError
from adrefine.ingestion import worker
from adrefine.ingestion.worker import Job, Photo, Settings
from adrefine.runtime import cores

BATCH = 16  # photos handed to a process at once
_WAITING = 3  # batches per process that are handed out at the same time
_SMALL = 64  # fewer photos are done before a pool has started


def process_all(settings: Settings, jobs: list[Job], workers: int | None = None) -> Iterator[Photo]:
    """Prepare photos on `workers` processes (None: one per available core), yielding each as it is done, in
    any order.

    Raises:
        UserError: a process died, of too little memory or of a fault in a decoder; names the photos it had.
    """
    workers = workers or cores()
    if workers == 1 or len(jobs) < _SMALL:
        yield from (worker.process(settings, job) for job in jobs)
        return
    batches = [jobs[start : start + BATCH] for start in range(0, len(jobs), BATCH)][::-1]
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
    if os.name != "nt":
        context.set_forkserver_preload([worker.__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start)
    running: dict[Future[list[Photo]], list[Job]] = {}
    try:
        while batches or running:
            while batches and len(running) < workers * _WAITING:
                batch = batches.pop()
                running[pool.submit(_batch, settings, batch)] = batch
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield from _result(future, running.pop(future))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _result(future: Future[list[Photo]], batch: list[Job]) -> list[Photo]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise UserError(
            f"a process died (out of memory?) while it read one of the photos {batch[0].source} to "
            f"{batch[-1].source}, or their neighbours: lower dataset.max_megapixels, or remove the "
            "photo"
        ) from None


def _batch(settings: Settings, jobs: list[Job]) -> list[Photo]:
    return [worker.process(settings, job) for job in jobs]


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
