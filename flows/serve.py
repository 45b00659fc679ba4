"""Serve the flows: every night the graph, and the inbox flow when photos arrive. Ctrl-C stops all of it.

    python flows/serve.py                        # `make serve` does the same
    python flows/serve.py --cron "30 3 * * 1-5"  # on working days at half past three

Uses the Prefect server that PREFECT_API_URL names. Where none answers on this machine it starts one, which ends
with it. One run at a time: runs that come together wait for each other.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from adrefine import params, paths
from adrefine.errors import UserError, exit_cleanly
from adrefine.orchestration import versions
from adrefine.orchestration.durable import locked
from adrefine.orchestration.inbox import Watch, look
from adrefine.orchestration.processes import end_group

STATE = Path(".adrefine/serve")
LOG = STATE / "server.log"
PATIENCE = 120  # seconds that a server may take to start


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cron", default="0 2 * * *", help="when the graph runs, local time; default: %(default)s"
    )
    parser.add_argument("--poll", type=float, default=30, help="seconds between two looks at the inbox")
    parser.add_argument("--name", default=Path.cwd().name, help="of the deployments; default: this folder's")
    chosen = parser.parse_args()
    params.load()  # a mistake is told now
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    # What the flows start is found however this program was: `python` in dvc.yaml is this one.
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    )
    with locked(STATE / "lock", "this folder is being served already"), _server() as (url, server):
        print(f"Prefect    {url.removesuffix('/api')}", flush=True)
        print(f"nightly    {chosen.cron} ({_timezone()}), deployment adrefine/{chosen.name}")
        print(f"inbox      {params.load().inbox.folder}, deployment adrefine-inbox/{chosen.name}")
        print("Stop with Ctrl-C (or SIGTERM).", flush=True)
        _serve(chosen, server)


def _serve(chosen: argparse.Namespace, server: subprocess.Popen[str] | None) -> None:
    """Register the deployments and run what is due."""
    from prefect import serve
    from prefect.context import refresh_global_settings_context
    from prefect.schedules import Cron

    refresh_global_settings_context()  # PREFECT_API_URL has just been set
    from inbox import inbox
    from pipeline import pipeline

    deployments = [
        pipeline.to_deployment(chosen.name, schedules=[Cron(chosen.cron, timezone=_timezone())]),
        inbox.to_deployment(chosen.name),
    ]
    if find_spec("sweep"):
        from sweep import sweep

        deployments.append(sweep.to_deployment(chosen.name))
    _end_lost_runs(chosen.name)
    threading.Thread(target=_watch, args=(chosen, server), daemon=True).start()
    serve(*deployments, pause_on_shutdown=False, print_starting_message=False, limit=1)


def _watch(chosen: argparse.Namespace, server: subprocess.Popen[str] | None) -> None:
    """Start the inbox flow whenever its folder is worth it; end all when our server has died."""
    watch, folder = Watch(), Path(params.load().inbox.folder)
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        time.sleep(chosen.poll)
        if server is not None and server.poll() is not None:
            print(f"The Prefect server has ended, see {LOG}", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        undecided = (paths.PROMOTED / versions.UNDECIDED).exists()
        try:
            if watch.due(look(folder), undecided) and _start_inbox(chosen.name):
                watch.started(undecided)
        except Exception as error:  # the server may be away for a moment: the next look is soon
            print(f"watching {folder}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _start_inbox(name: str) -> bool:
    """Start the inbox flow unless a run of it waits or is under way; whether it was started."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        if _unfinished(client, "adrefine-inbox", name):
            return False
        client.create_flow_run_from_deployment(client.read_deployment_by_name(f"adrefine-inbox/{name}").id)
    return True


def _end_lost_runs(name: str) -> None:
    """Runs that a killed predecessor left `Running` are crashed: nobody works on them any more."""
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for flow in ("adrefine", "adrefine-inbox", "adrefine-sweep"):
            for run in _unfinished(client, flow, name):
                if not run.state.is_scheduled():
                    state = Crashed(message="flows/serve.py was killed")
                    client.set_flow_run_state(run.id, state, force=True)


def _unfinished(client: Any, flow: str, name: str) -> list[Any]:
    """Runs of a deployment that wait or are under way."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    open_ = [
        StateType.SCHEDULED,
        StateType.PENDING,
        StateType.RUNNING,
        StateType.CANCELLING,
        StateType.PAUSED,
    ]
    found: list[Any] = client.read_flow_runs(
        flow_filter=filters.FlowFilter(name=filters.FlowFilterName(any_=[flow])),
        deployment_filter=filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=[name])),
        flow_run_filter=filters.FlowRunFilter(
            state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=open_))
        ),
    )
    return found


@contextmanager
def _server() -> Iterator[tuple[str, subprocess.Popen[str] | None]]:
    """The API's address, and the server if it had to be started; that one ends with the block.

    Raises:
        UserError: the server is on another machine and does not answer, or does not start here.
    """
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    url = settings.api.url or f"http://127.0.0.1:{settings.server.api.port}/api"
    os.environ["PREFECT_API_URL"] = url
    if _answers(url):
        yield url, None
        return
    place = urlsplit(url)
    if place.hostname not in ("127.0.0.1", "localhost"):
        raise UserError(
            f"PREFECT_API_URL = {url} does not answer: start that server, or unset PREFECT_API_URL"
        )
    LOG.parent.mkdir(parents=True, exist_ok=True)
    where = ["--host", str(place.hostname), "--port", str(place.port or 4200)]
    with LOG.open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", *where],
            env={**os.environ, "PREFECT_SERVER_UI_API_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + PATIENCE
        while not _answers(url):
            if server.poll() is not None or time.monotonic() > end:
                raise UserError(f"no Prefect server could be started at {url}: see {LOG}")
            time.sleep(0.3)
        yield url, server
    finally:
        end_group(server)


def _answers(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/health", timeout=3) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False


def _timezone() -> str:
    """Name of the local time zone; UTC where the system does not tell."""
    given = os.environ.get("TZ", "").lstrip(":")
    link = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return given or link or "UTC"


if __name__ == "__main__":
    exit_cleanly(main)
