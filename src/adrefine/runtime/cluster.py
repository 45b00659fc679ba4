"""Jobs of a stage: in this process, or as tasks of a Prefect flow on the workers of a Dask cluster.

What a job gives depends on the job alone, and `tree` adds in an order that their number alone decides. So a
result is the same to the last bit for any number of workers, and for none. Nothing here decides a result.

A worker does a job in the project's folder, which it sees under the same path as the stage does.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from adrefine import paths
from adrefine.errors import UserError
from adrefine.runtime import hardware
from adrefine.text import counted

if TYPE_CHECKING:
    from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")
LOCAL = "local"
_AHEAD = 2  # jobs a worker that are handed out at the same time: results wait in no heap
_RETRIES = 2  # of a job that raised: a folder of the network may be away for a moment
_PATIENCE = 300  # seconds for the first worker, or for one where all died
_LOOK = 5  # seconds between looks at the workers that there are
_HERE = ("127.0.0.1", "localhost", "::1")
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
    if where != LOCAL:
        _check_scheduler(where)
    import adrefine.serving.environment  # noqa: F401
    from adrefine.serving.server import server

    with server(paths.side_cache("cluster") / "server.log") as (url, _):
        if where != LOCAL:
            _check_server(where, url)
        from prefect import flow
        from prefect.logging.handlers import APILogHandler

        stage = flow(_at_work, name=f"adrefine-{name}", flow_run_name=name, task_runner=_runner(where))
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
        while len(running) < (1 if alone else _AHEAD * _slots()) and (job := next(waiting, None)):
            future = submit(*job)
            running[future.wrapped_future] = (job[0], future)
        if not running:
            return
        for place, future in map(running.pop, _done_of(list(running))):
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
    number = count()
    # A sum is asked for right after its parts, and so made before others: few parts wait in memory.
    total = _added(
        list(enumerate(jobs)), lambda job: submit(*job), lambda one, other: both(next(number), [one, other])
    )
    _done_of([total.wrapped_future])
    return there(_result(total), name)


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
    return add(*parts)


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
    """What Prefect does not look into for results of other tasks."""

    def __init__(self, content: Any) -> None:
        self.content = content


def _submitter(function: Callable[..., Any], name: str, shared: Any) -> Callable[..., PrefectDaskFuture[Any]]:
    """Gives jobs by their number and content to workers; a list of such tasks becomes their results."""
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    runner = _task_runner()
    _slots()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        # The scheduler keeps it: unlike what is scattered, it outlives the workers that have it.
        everywhere = runner.client.submit(_Sealed, shared, pure=False)
    common = {"function": _Sealed(function), "folder": str(Path.cwd()), "shared": everywhere}

    def submit(number: int, job: Any) -> PrefectDaskFuture[Any]:
        made = task(
            _done,
            task_run_name=f"{name} {number}",
            cache_policy=NO_CACHE,
            retries=_RETRIES,
            retry_condition_fn=_may_pass,
        )
        return runner.submit(made, {**common, "job": job if function is _pair else _Sealed(job)})

    return submit


def _done(function: _Sealed, folder: str, shared: _Sealed, job: Any) -> Any:
    """On a worker: a job, in the folder of the project."""
    if not Path(folder, "params.yaml").is_file():
        raise UserError(f"{socket.gethostname()} does not see {folder}: share it with all workers")
    os.chdir(folder)
    try:
        return function.content(shared.content, job.content if isinstance(job, _Sealed) else job)
    except UserError as error:
        raise UserError(str(error)) from None  # some of its kinds cannot travel


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    return not isinstance(state.data, UserError)


def _result(future: PrefectDaskFuture[R]) -> R | Lost:
    """What the job gave, or that it is lost. Raises what it raised."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        died = counted(error.allowed_failures + 1, "worker")
        return Lost(f"{died} died of it, the last at {error.last_worker.address}")


def _task_runner() -> DaskTaskRunner:
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    assert context is not None
    runner: DaskTaskRunner = context.task_runner
    return runner


def _done_of(futures: list[Any]) -> list[Any]:
    """Those that are done, one at least."""
    from distributed import wait

    with _task_runner().client.as_current():
        while True:
            _slots()
            with suppress(TimeoutError):
                return list(wait(futures, timeout=_LOOK, return_when="FIRST_COMPLETED").done)


def _slots() -> int:
    """Jobs that all workers together do at a time, those that are there now."""
    client, end = _task_runner().client, time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if client.cluster is not None:  # one of our own: it does not replace a worker that died as it started
            client.cluster.scale(hardware.threads())
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_LOOK)
            return sum(client.nthreads().values())
    raise UserError(f"no Dask worker in {_PATIENCE} s: start `dask worker` on each machine")


def _runner(where: str) -> DaskTaskRunner:
    from prefect_dask import DaskTaskRunner

    if where != LOCAL:
        return DaskTaskRunner(address=where)
    quiet = {"dashboard_address": None, "silence_logs": 50}
    alone = {"n_workers": hardware.threads(), "threads_per_worker": 1, "security": True}
    return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs={**alone, **quiet})


def _check_scheduler(where: str) -> None:
    """See `run`."""
    place = urlsplit(where)
    try:
        socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"runtime.cluster = {where}: no Dask scheduler answers there ({error}): start `dask scheduler`"
        ) from None


def _check_server(where: str, server: str) -> None:
    """See `run`."""
    if urlsplit(server).hostname in _HERE and urlsplit(where).hostname not in _HERE:
        raise UserError(
            f"runtime.cluster = {where}: its workers cannot reach the Prefect server at {server}: "
            "set PREFECT_API_URL to one that they can (docs/machines.md)"
        )
