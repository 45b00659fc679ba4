"""Jobs of a stage: in this process, or as tasks of a Prefect flow on the workers of a Dask cluster.

What a job gives depends on the job alone, and `tree` adds in an order that their number alone decides. So a
result is the same to the last bit for any number of workers, and for none. Nothing here decides a result.

A worker does a job in the project's folder, which it sees under the same path as the stage does.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from adrefine import paths
from adrefine.errors import UserError
from adrefine.runtime import dask_cluster
from adrefine.text import counted

if TYPE_CHECKING:
    from prefect_dask.task_runners import PrefectDaskFuture

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")
_AHEAD = 2  # jobs a worker that are handed out at the same time: results wait in no heap
_RETRIES = 2  # of a job that raised: a folder of the network may be away for a moment
_work: Callable[[], None] | None = None  # what the flow of this process runs


class Lost(NamedTuple):
    """In the place of a result: the workers that tried the job died, one after the other."""

    why: str


def run(where: str | None, name: str, work: Callable[[], None]) -> None:
    """`work()`, the jobs that it gives to `each` and `tree` on the cluster.

    Args:
        where: None: this process. `local`: a worker process for each core, which end with the work.
            tcp://HOST:PORT: a Dask scheduler that runs.
        name: of the flow run on Prefect's pages.

    Raises:
        UserError: what it takes is not installed, or the cluster does not answer. Whatever `work` raises.
    """
    global _work
    if where is None:
        work()
        return
    if importlib.util.find_spec("prefect_dask") is None:
        raise UserError(f"runtime.cluster = {where}: pip install 'adrefine[dask]'")
    if where != dask_cluster.LOCAL:
        dask_cluster.check_scheduler(where)
    import adrefine.serving.environment  # noqa: F401
    from adrefine.serving.server import server

    with server(paths.side_cache("cluster") / "server.log") as (url, _):
        if where != dask_cluster.LOCAL:
            dask_cluster.check_server(where, url)
        from prefect import flow
        from prefect.logging.handlers import APILogHandler

        stage = flow(
            _at_work, name=f"adrefine-{name}", flow_run_name=name, task_runner=dask_cluster.runner(where)
        )
        logging.getLogger("distributed").setLevel(logging.ERROR)  # a line for each worker that comes or goes
        _work = work
        try:
            stage()
        finally:
            _work = None
            APILogHandler().flush()  # before the server ends


def joined() -> bool:
    """Whether jobs go to a cluster."""
    return _work is not None


def each(
    function: Callable[[S, J], R], jobs: Sequence[J], name: str, shared: S, alone: bool = False
) -> Iterator[tuple[int, R | Lost]]:
    """Place and `function(shared, job)` of every job, each as it is done; in this process in their order.

    Args:
        function: of a module, for workers import it. shared: goes to each worker once.
        name: what a job is called on Prefect's pages, with its number.
        alone: one job at a time: a worker that dies takes its other jobs for dangerous, too.
    """
    if not joined():
        yield from ((place, function(shared, job)) for place, job in enumerate(jobs))
        return
    submit, waiting = _submitter(function, name, shared), iter(enumerate(jobs))
    running: dict[Any, tuple[int, PrefectDaskFuture[R]]] = {}
    while True:
        while len(running) < (1 if alone else _AHEAD * dask_cluster.slots()) and (job := next(waiting, None)):
            future = submit(*job)
            running[future.wrapped_future] = (job[0], future)
        if not running:
            return
        for place, future in map(running.pop, dask_cluster.done_of(list(running))):
            yield place, _result(future)


def tree(
    function: Callable[[S, J], R], add: Callable[[R, R], R], jobs: Sequence[J], name: str, shared: S
) -> R:
    """`function(shared, job)` of all jobs, added two and two: ((0 + 1) + (2 + 3)) + 4, whoever computes them.

    Args:
        add: of a module, too. jobs: one at least. Others: see `each`.

    Raises:
        UserError: the workers that tried one of the jobs died.
    """
    if not joined():
        return _added(jobs, lambda job: function(shared, job), add)
    submit, both = _submitter(function, name, shared), _submitter(_pair, f"{name} added", add)
    number, waiting, parts = count(), iter(enumerate(jobs)), dict[tuple[int, int], Any]()
    # A sum is asked for when its parts are there, which are kept until it is: Dask does not keep the order in
    # which it is told of tasks.
    running: dict[Any, tuple[int, int, PrefectDaskFuture[R], list[Any]]] = {}
    while True:
        while len(running) < _AHEAD * dask_cluster.slots() and (job := next(waiting, None)):
            future = submit(*job)
            running[future.wrapped_future] = (0, job[0], future, [])
        for level, place, future, _ in map(running.pop, dask_cluster.done_of(list(running))):
            while place ^ 1 == (width := _width(len(jobs), level)) > 1:  # the last one has no pair
                level, place = level + 1, place // 2
            if width == 1:
                return there(_result(future), name)
            parts[level, place] = future
            if (level, place ^ 1) in parts:
                pair = [parts.pop((level, one)) for one in sorted((place, place ^ 1))]
                added = both(next(number), pair)
                running[added.wrapped_future] = (level + 1, place // 2, added, pair)


def _width(jobs: int, level: int) -> int:
    """Sums on a level of the tree."""
    return -(-jobs >> level)


def there(result: R | Lost, name: str) -> R:
    """A result that nothing can be done without.

    Raises:
        UserError: it is lost.
    """
    if isinstance(result, Lost):
        raise UserError(f"{name}: {result.why}: give the workers more memory")
    return result


def _added(jobs: Sequence[J], one: Callable[[J], R], both: Callable[[R, R], R]) -> R:
    """The first half, of as many as a power of 2 has, and the rest: of n partial sums log n are kept."""
    if len(jobs) == 1:
        return one(jobs[0])
    half = 1 << (len(jobs) - 1).bit_length() - 1
    return both(_added(jobs[:half], one, both), _added(jobs[half:], one, both))


def _pair(add: Callable[[R, R], R], parts: list[R]) -> R:
    return next((part for part in parts if isinstance(part, _Refused)), None) or add(*parts)


def _at_work() -> Any:
    """The flow. Workers are told of it with every job, so it is this name and no closure."""
    from prefect.states import Failed

    assert _work is not None
    try:
        _work()
    except UserError as error:  # raised to us; without a traceback in the log
        return Failed(message=str(error), data=error)
    return None


class _Sealed:
    """Content that is read in the project's folder on a worker: not by Prefect, in search of results of other
    tasks, and not by the scheduler."""

    def __init__(self, content: Any) -> None:
        import cloudpickle

        self.content = cloudpickle.dumps(content)

    def read(self) -> Any:
        """What was put in."""
        return pickle.loads(self.content)


def _same(sealed: _Sealed) -> _Sealed:
    return sealed


class _Refused(NamedTuple):
    """In the place of a result: a UserError, in words."""

    message: str


def _submitter(function: Callable[..., Any], name: str, shared: Any) -> Callable[..., PrefectDaskFuture[Any]]:
    """Gives jobs by their number and content to workers; a list of such tasks becomes their results."""
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    runner = dask_cluster.task_runner()
    dask_cluster.slots()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        # The scheduler keeps it: unlike what is scattered, it outlives the workers that have it.
        everywhere = runner.client.submit(_same, _Sealed(shared), pure=False)
    dask_cluster.done_of([everywhere])
    common = {"function": _Sealed(function), "folder": str(Path.cwd()), "shared": everywhere}

    def submit(number: int, job: Any) -> PrefectDaskFuture[Any]:
        made = task(
            _done,
            task_run_name=f"{name} {number}",
            cache_policy=NO_CACHE,
            retries=_RETRIES,
        )
        return runner.submit(made, {**common, "job": job if function is _pair else _Sealed(job)})

    return submit


def _done(function: _Sealed, folder: str, shared: _Sealed, job: Any) -> Any:
    """On a worker: a job, in the folder of the project."""
    try:
        if not Path(folder, "params.yaml").is_file():
            raise UserError(f"{socket.gethostname()} does not see {folder}: share it with all workers")
        os.chdir(folder)
        return function.read()(shared.read(), job.read() if isinstance(job, _Sealed) else job)
    except UserError as error:  # not raised: nobody shall try again
        return _Refused(str(error))


def _result(future: PrefectDaskFuture[R]) -> R | Lost:
    """What the job gave, or that it is lost. Raises what it raised."""
    from distributed import KilledWorker

    try:
        result = future.result()
    except KilledWorker as error:
        died = counted(error.allowed_failures + 1, "worker")
        return Lost(f"{died} died of it, the last at {error.last_worker.address}")
    if isinstance(result, _Refused):
        raise UserError(result.message)
    return result
