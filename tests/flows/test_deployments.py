"""flows/deployments.py for real: its server, what the API has, a photo starts a run, SIGTERM ends all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from adrefine.serving.password import credentials
from adrefine.serving.server import basic
from pipeline.project import REPOSITORY
from trees import mvtec, pixels, save

pytestmark = pytest.mark.pipeline
LATEST = 240.0  # seconds that anything may take on a busy machine; on an idle one all takes 40


class Served:
    """A folder with the flows and a dataset, served by a process of its own."""

    def __init__(self, root: Path, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.api = f"http://127.0.0.1:{free.getsockname()[1]}/api"
        self.root, self.home = root, home
        shutil.copytree(REPOSITORY / "flows", root / "flows")
        shutil.copy(REPOSITORY / "prefect.toml", root)
        (root / "params.yaml").write_text(
            "dataset: {name: mvtec, root: photos}\nnoise: {level: 0}\ninbox: {folder: inbox, settle: 60}\n"
        )
        mvtec(root / "photos")
        (root / "promoted/0001").mkdir(
            parents=True
        )  # else the flow would first run the graph, which is not here
        (root / "promoted/0001/promotion.json").write_text("{}")
        (root / "promoted/current").symlink_to("0001")
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "GIT_"))
        }
        log = (self.root / "serve.log").open("a")
        return subprocess.Popen(
            [
                sys.executable,
                "flows/deployments.py",
                "--poll",
                "0.5",
                "--name",
                "bottle",
                "--cron",
                "30 3 * * *",
            ],
            cwd=self.root,
            env=kept
            | {
                "PREFECT_API_URL": self.api,
                "PREFECT_HOME": str(self.home),
                "PYTHONPATH": str(REPOSITORY / "src"),
                "ADREFINE_TEST": str(self.root),  # by which its processes are found
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ask(self, what: str) -> list[dict[str, Any]]:
        """All of a kind in the API; none while it does not answer."""
        headers = {"content-type": "application/json", "authorization": basic(credentials(self.home))}
        request = Request(f"{self.api}/{what}/filter", data=b"{}", headers=headers)
        try:
            with urlopen(request, timeout=5) as answer:
                found: list[dict[str, Any]] = json.load(answer)
                return found
        except (URLError, OSError):
            return []

    def runs(self) -> list[dict[str, Any]]:
        """Runs that are more than planned for some night."""
        return [run for run in self.ask("flow_runs") if not run["auto_scheduled"]]

    def log(self) -> str:
        return (self.root / "serve.log").read_text()

    def processes(self) -> list[str]:
        """Command lines of all that came of it."""
        mark, found = f"ADREFINE_TEST={self.root}".encode(), []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # not ours, or just gone
                continue
        return [line for line in found if line]  # an empty one has ended and is not yet buried


def until(done: Callable[[], Any], served: Served) -> Any:
    end = time.monotonic() + LATEST
    while not (found := done()):
        assert time.monotonic() < end, served.log()
        assert served.process.poll() is None, served.log()
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("home"))
    yield served
    if served.process.poll() is None:
        served.process.terminate()
        served.process.wait(LATEST)


def test_from_start_to_stop(served: Served) -> None:
    """One test, for a server takes seconds to start."""
    found = until(lambda: len(all_ := served.ask("deployments")) >= 3 and all_, served)
    there = {deployment["entrypoint"]: deployment for deployment in found}
    assert set(there) == {
        "flows/pipeline.py:pipeline",
        "flows/inbox.py:inbox",
        "flows/sweep.py:run_sweep",
    }
    (schedule,) = there["flows/pipeline.py:pipeline"]["schedules"]
    assert schedule["schedule"]["cron"] == "30 3 * * *"
    assert {deployment["name"] for deployment in found} == {"bottle"}
    assert served.api.removesuffix("/api") in served.log()
    assert credentials(served.home) not in served.log()  # others may read a log

    time.sleep(1.5)
    assert served.runs() == []  # nothing in the inbox, no run and no noise
    save(served.root / "inbox/new.png", pixels(500))
    (run,) = until(served.runs, served)
    assert run["deployment_id"] == there["flows/inbox.py:inbox"]["id"]
    until(lambda: served.runs()[0]["state"]["type"] == "RUNNING", served)
    second = subprocess.run(
        [sys.executable, "flows/deployments.py"],
        cwd=served.root,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
    )
    assert second.returncode == 2
    assert "this folder is being served already" in second.stderr

    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(LATEST) == 0, served.log()
    assert served.processes() == []
    assert served.ask("deployments") == []

    # Where it was: the schedule is on, the lost run is over, the photo starts another.
    served.process = served.start()
    new = until(lambda: [found for found in served.runs() if found["id"] != run["id"]], served)
    (old,) = (found for found in served.runs() if found["id"] == run["id"])
    assert len(new) == 1
    assert old["state"]["type"] in ("CRASHED", "CANCELLED")
    for deployment in served.ask("deployments"):
        assert not deployment["paused"]
        assert all(schedule["active"] for schedule in deployment["schedules"])
