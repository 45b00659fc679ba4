"""A real Prefect server of the tests' own, and what its API knows of a run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adrefine.dvc_driver.processes import end_group
from adrefine.serving.password import credentials
from adrefine.serving.server import answers, basic

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE = 120.0  # seconds
BUSY = 503  # the server's database is locked for a moment: "ask again"


class Server:
    """A server that runs. `variables`: what a program needs to use it; `secret`: its password."""

    def __init__(self, address: str, home: Path) -> None:
        self.address, self.secret = address, credentials(home)
        self.variables = {
            "PREFECT_API_URL": f"{address}/api",
            "PREFECT_HOME": str(home),
            "PREFECT_API_AUTH_STRING": self.secret,
        }

    def ask(self, what: str, **query: Any) -> Any:
        """The answer of the API to a POST. Asks again while it says "busy", as Prefect's own clients do."""
        request = urllib.request.Request(
            f"{self.address}/api/{what}",
            json.dumps(query).encode(),
            {"Content-Type": "application/json", "Authorization": basic(self.secret)},
        )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != BUSY or time.monotonic() > end:
                    raise
            time.sleep(0.3)

    def last_run(self) -> dict[str, Any]:
        """The flow run that was started last."""
        run: dict[str, Any] = self.ask("flow_runs/filter", sort="START_TIME_DESC", limit=1)[0]
        return run

    def run(self, name: str) -> dict[str, Any]:
        """The flow run of that id."""
        run: dict[str, Any] = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [name]}})[0]
        return run

    def tasks(self, run: dict[str, Any], *awaited: str) -> list[tuple[str, str]]:
        """Name and state of the run's tasks in the order of their start.

        The server hears of them a moment after they end: waits until it knows the end of `awaited`.
        """
        end = time.monotonic() + PATIENCE
        while True:
            found = self.ask("task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
            ended = {task["name"] for task in found if task["end_time"]}
            if ended.issuperset(awaited) or time.monotonic() > end:
                found.sort(key=lambda task: task["start_time"])
                return [(task["name"], task["state"]["name"]) for task in found]
            time.sleep(0.3)

    def artifacts(self, run: dict[str, Any]) -> dict[str, Any]:
        """Data of the run's artifacts by their keys, tables parsed. Prefect's own, of results, have none."""
        found = self.ask("artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return {
            one["key"]: json.loads(one["data"]) if one["type"] == "table" else one["data"]
            for one in found
            if one["key"]
        }


@contextmanager
def started(home: Path) -> Iterator[Server]:
    """A server on a free port, its data in `home`, with the settings of the project's prefect.toml."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", home)
    own = {"PREFECT_HOME": str(home), "PREFECT_SERVER_API_AUTH_STRING": server.secret}
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "adrefine.serving.guard", "--port", str(port)],
            cwd=REPOSITORY,
            env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | own,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        _wait(server, process, home / "server.log")
        yield server
    finally:
        end_group(process)


def _wait(server: Server, process: subprocess.Popen[str], log: Path) -> None:
    """Return when the server answers."""
    end = time.monotonic() + PATIENCE
    while not answers(f"{server.address}/api"):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the Prefect server did not start:\n{log.read_text()}")
        time.sleep(0.2)
