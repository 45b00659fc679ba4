"""Serve the flows: every night the graph, and the inbox flow when photos arrive. Ctrl-C stops all of it.

    python flows/deployments.py                        # `make serve` does the same
    python flows/deployments.py --cron "30 3 * * 1-5"  # on working days at half past three

Uses the Prefect server that PREFECT_API_URL names, if that asks for a password. Where none answers on this
machine it starts one, with a password, which ends with it. One run at a time: runs that come together wait
for each other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from adrefine import datasets, params, paths
from adrefine.dvc_driver import preflight
from adrefine.errors import UserError, exit_cleanly, redacted
from adrefine.io import locked
from adrefine.serving import password, versions
from adrefine.serving.intake import Watch, look
from adrefine.serving.server import home, server

STATE = Path(".adrefine/serve")
STOPPED = threading.Event()


def main() -> None:
    """Serve until stopped."""
    chosen = _arguments()
    settings = params.load()  # a mistake is told now, not at night
    preflight.check_settings(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # the terminal was closed
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell starts it in background
    # `python` in dvc.yaml is this one, however this program was started.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    log = STATE / "server.log"
    with locked(STATE / "lock", "this folder is being served already"), server(log) as (url, ours):
        print(f"Prefect    {redacted(url).removesuffix('/api')}" + (f" (its log: {log})" if ours else ""))
        if ours:
            print(f"password   {password.told(os.environ['PREFECT_API_AUTH_STRING'], home())}")
        print(f"nightly    {chosen.cron}, {_timezone()}: adrefine/{chosen.name}")
        print(f"inbox      {_inbox_folder(settings)}: adrefine-inbox/{chosen.name}")
        print("Ctrl-C stops all of it.", flush=True)
        try:
            _serve(chosen, Path(settings.inbox.folder), ours)
        finally:
            STOPPED.set()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cron", default="0 2 * * *", help="when the graph runs, in local time; default: %(default)s"
    )
    parser.add_argument(
        "--poll", type=float, default=30, help="seconds between two looks at the inbox; default: %(default)s"
    )
    parser.add_argument("--name", default=Path.cwd().name, help="of the deployments; default: this folder's")
    return parser.parse_args()


def _serve(chosen: argparse.Namespace, folder: Path, ours: subprocess.Popen[str] | None) -> None:
    """Register the deployments, watch the inbox and run what is due.

    Args:
        folder: the inbox. ours: the server, if we started it.
    """
    from prefect.runner import Runner
    from prefect.schedules import Cron

    from inbox import inbox
    from pipeline import pipeline
    from sweep import run_sweep

    nightly = Cron(chosen.cron, timezone=_timezone())
    others = [flow.to_deployment(chosen.name) for flow in (inbox, run_sweep)]
    _end_lost_runs(chosen.name)
    threading.Thread(target=_watch, args=(chosen, folder, ours), daemon=True).start()
    runner = Runner(pause_on_shutdown=False, limit=1)
    # Prefect's own handler exits from whatever is at work, and some of that swallows the exit.
    runner.handle_sigterm = lambda *_: signal.raise_signal(signal.SIGINT)  # type: ignore[method-assign]
    for deployment in (pipeline.to_deployment(chosen.name, schedule=nightly), *others):
        runner.add_deployment(deployment)
    with suppress(KeyboardInterrupt):  # asyncio makes it a cancelled task
        asyncio.run(runner.start())


def _watch(chosen: argparse.Namespace, folder: Path, ours: subprocess.Popen[str] | None) -> None:
    """Start the inbox flow whenever its folder is worth it; end all when our server has died."""
    watch = Watch()
    folder.mkdir(parents=True, exist_ok=True)
    while not STOPPED.wait(chosen.poll):
        if ours is not None and ours.poll() is not None:
            print(f"the Prefect server has ended, see {STATE}", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        undecided = (paths.PROMOTED / versions.UNDECIDED).exists()
        try:
            if watch.due(look(folder), undecided) and _start_inbox(chosen.name):
                watch.started()
        except Exception as error:  # the server may be away for a moment; the next look is soon
            if not STOPPED.is_set():
                print(f"watching {folder}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _start_inbox(name: str) -> bool:
    """Start the inbox flow unless a run of it waits or is under way; whether it was started."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        if _unfinished(client, name, ["adrefine-inbox"]):
            return False
        client.create_flow_run_from_deployment(client.read_deployment_by_name(f"adrefine-inbox/{name}").id)
    return True


def _end_lost_runs(name: str) -> None:
    """Runs that a predecessor left `Running` when it was killed are crashed: nobody works on them."""
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for run in _unfinished(client, name, ["adrefine", "adrefine-inbox", "adrefine-sweep"]):
            if not run.state.is_scheduled():
                state = Crashed(message="flows/deployments.py was killed")
                client.set_flow_run_state(run.id, state, force=True)


def _unfinished(client: Any, name: str, flows: list[str]) -> list[Any]:
    """Runs of the deployments `name` of `flows` that wait or are under way."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import TERMINAL_STATES, StateType

    open_ = filters.FlowRunFilterStateType(any_=[kind for kind in StateType if kind not in TERMINAL_STATES])
    unfinished: list[Any] = client.read_flow_runs(
        flow_filter=filters.FlowFilter(name=filters.FlowFilterName(any_=flows)),
        deployment_filter=filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=[name])),
        flow_run_filter=filters.FlowRunFilter(state=filters.FlowRunFilterState(type=open_)),
    )
    return unfinished


def _inbox_folder(settings: params.Params) -> str:
    """The inbox, or why this dataset has none."""
    try:
        datasets.arrivals(settings.dataset)
    except UserError as error:
        return f"{settings.inbox.folder}, but {error}"
    return settings.inbox.folder


def _timezone() -> str:
    """Name of the local time zone; UTC where the system does not tell."""
    given = os.environ.get("TZ", "").lstrip(":")
    return given or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2] or "UTC"


if __name__ == "__main__":
    exit_cleanly(main)
