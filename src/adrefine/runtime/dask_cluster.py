"""The Dask cluster of a flow: who its workers are, and whether they are there."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from adrefine.errors import UserError
from adrefine.runtime import hardware

if TYPE_CHECKING:
    from prefect_dask.task_runners import DaskTaskRunner

LOCAL = "local"
_PATIENCE = 300  # seconds for the first worker, or for one where all died
_LOOK = 5  # seconds between looks at the workers that there are
_HERE = ("127.0.0.1", "localhost", "::1")


def task_runner() -> DaskTaskRunner:
    """That of the flow that runs."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    assert context is not None
    made: DaskTaskRunner = context.task_runner
    return made


def done_of(futures: list[Any]) -> list[Any]:
    """Those that are done, one at least."""
    from distributed import wait

    with task_runner().client.as_current():
        while True:
            slots()
            with suppress(TimeoutError):
                return list(wait(futures, timeout=_LOOK, return_when="FIRST_COMPLETED").done)


def slots() -> int:
    """Jobs that all workers together do at a time, those that are there now."""
    client, end = task_runner().client, time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if (
            client.cluster is not None
        ):  # our own: by itself it does not replace a worker that died as it started
            client.cluster.scale(hardware.threads())
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_LOOK)
            return sum(client.nthreads().values())
    raise UserError(f"no Dask worker in {_PATIENCE} s: start `dask worker` on each machine")


def runner(where: str) -> DaskTaskRunner:
    """Of a cluster of our own, or of the one at `where`."""
    import dask
    from prefect_dask import DaskTaskRunner

    if where != LOCAL:
        return DaskTaskRunner(address=where)
    dask.config.set({"distributed.deploy.lost-worker-timeout": _PATIENCE})  # 15 s are few to start again
    quiet = {"dashboard_address": None, "silence_logs": 50}
    alone = {"n_workers": hardware.threads(), "threads_per_worker": 1, "security": True}
    return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs={**alone, **quiet})


def check_scheduler(where: str) -> None:
    """Look whether there is one.

    Raises:
        UserError: none answers at `where`.
    """
    place = urlsplit(where)
    try:
        socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"runtime.cluster = {where}: no Dask scheduler answers there ({error}): start `dask scheduler`"
        ) from None


def check_server(where: str, server: str) -> None:
    """Look whether workers can find the Prefect server.

    Raises:
        UserError: those of the cluster at `where` would look for it on their own machine.
    """
    if urlsplit(server).hostname in _HERE and urlsplit(where).hostname not in _HERE:
        raise UserError(
            f"runtime.cluster = {where}: its workers cannot reach the Prefect server at {server}: "
            "set PREFECT_API_URL to one that they can (docs/machines.md)"
        )
