"""Kills of `make serve` and of its Prefect server while records are written; then it is started again."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from adrefine.serving.server import basic
from adrefine.sweeps.isolated import end_all
from benchmarks.reliability import project
from benchmarks.reliability.project import ROOT
from benchmarks.reliability.tally import LOST, RIGHT, Tally

_PROGRAM = [sys.executable, str(ROOT / "flows/deployments.py"), "--name", "served", "--poll", "1"]
_PATIENCE = 120.0  # seconds for its start
_WRITES = 4.0  # seconds, at most, in which records are written before the kill


class _Served:
    """`make serve` in a folder, and what its server was told and said it has."""

    def __init__(self, place: Path, home: Path) -> None:
        self.place, self.home, self.told = place, home, list[str]()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}/api"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it and wait until its deployments are there."""
        variables = project.environment(PREFECT_HOME=str(self.home), PREFECT_API_URL=self.url)
        said = self.home.with_name("said")
        with said.open("wb") as out:
            self.process = subprocess.Popen(
                _PROGRAM,
                cwd=self.place,
                env=variables,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(OSError, ValueError):
                if b"Ctrl-C stops" in said.read_bytes() and len(self.ask("deployments/filter")) == 3:
                    return True
            time.sleep(0.2)
        return False

    def write(self, seconds: float) -> None:
        """Have it keep variables, one after the other; those count that it said it has."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = f"v{len(self.told)}"
            with suppress(OSError, ValueError):
                self.ask("variables/", name=name, value=name)
                self.told.append(name)

    def kept(self) -> bool:
        """Whether all that it said it has is there."""
        found = set[str]()
        while batch := self.ask("variables/filter", limit=200, offset=len(found)):
            found |= {one["name"] for one in batch}
        return set(self.told) <= found

    def ask(self, what: str, **query: object) -> list[dict[str, str]]:
        secret = (self.home / "adrefine.password").read_text().strip()
        headers = {"Content-Type": "application/json", "Authorization": basic(secret)}
        request = urllib.request.Request(f"{self.url}/{what}", json.dumps(query).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return list(json.load(answer))

    def kill(self, who: str) -> None:
        """Kill the program, its server, or both and all others that they started."""
        assert self.process is not None
        own = psutil.Process(self.process.pid)
        others = own.children(recursive=True)
        servers = [one for one in others if "adrefine.serving.guard" in one.cmdline()]
        for one in {"program": [own], "server": servers, "all": [own, *others]}[who]:
            with suppress(psutil.Error):
                one.send_signal(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # without its server it ends, at its next look
            self.process.wait(60)


def all_of(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Killed by turns: the program, its server, both. Afterwards it starts, with its three deployments, the
    same password, and every record that its server had acknowledged."""
    tally = Tally("killed: `make serve`, its server, or both")
    place = project.make(folder / "project", {"1.png": b"photo"})
    served = _Served(place, folder / "prefect")
    up = served.start()
    while up and tally.tried < count:
        served.write(float(rng.uniform(0.2, _WRITES)))
        who = ("all", "server", "program")[tally.tried % 3]
        served.kill(who)
        up = served.start()
        tally.add(RIGHT if up and served.kept() else LOST, f"{who} {tally.tried}, {len(served.told)} records")
    end_all(place)
    shutil.rmtree(folder, ignore_errors=True)
    if not up and not tally.tried:
        tally.add(LOST, "it did not start")
    yield tally
