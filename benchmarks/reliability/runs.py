"""Kills of DVC, of the commands and flows that drive it, and of `make serve`; then the same run again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adrefine.dvc_driver import lockfile
from benchmarks.reliability import kills, project
from benchmarks.reliability.project import DVC, REPRO, ROOT
from benchmarks.reliability.tally import LOST, RIGHT, Tally

_ADREFINE = [sys.executable, "-m", "adrefine.cli"]
_FLOW = [sys.executable, str(ROOT / "flows/pipeline.py")]
_INBOX = [sys.executable, str(ROOT / "flows/inbox.py")]
Kill = Callable[["subprocess.Popen[bytes]"], None]


@dataclass(frozen=True)
class Scene:
    """A project to run in, and what a run that nobody killed leaves there.

    Attributes:
        seconds: of that run. home: Prefect's folder.
    """

    made: Path
    wanted: dict[str, bytes]
    seconds: float
    home: Path

    @property
    def place(self) -> Path:
        return self.made.with_name("killed")


def alone(process: subprocess.Popen[bytes]) -> None:
    """Kill the process; what it started lives on."""
    process.kill()


def group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all of its group, as when a terminal or a machine goes."""
    os.killpg(process.pid, signal.SIGKILL)


def all_of(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Kills of DVC in a project of three stages, by who is killed, and when."""
    made = project.make(folder / "project", {f"{n}.png": f"photo {n}".encode() for n in range(5)})
    wanted, seconds = project.undisturbed(made)
    scene = Scene(made, wanted, seconds, folder / "prefect")
    run, half = [*_ADREFINE, "run"], max(1, count * 6 // 10)
    yield _at_instants("`dvc repro`, with all it started", count, rng, scene, REPRO, group)
    yield _at_instants("`dvc repro`, DVC alone", half, rng, scene, REPRO, alone)
    yield _at_calls("`dvc repro` at a system call", count, rng, scene)
    yield _in_lock("`dvc repro` while it writes dvc.lock", half, rng, scene)
    yield _at_instants("`adrefine run`, with all it started", half, rng, scene, run, group)
    yield _at_instants("`adrefine run`, alone", half, rng, scene, run, alone)
    experiment = [*DVC, "exp", "run", "-q"]
    yield _at_instants("`dvc exp run`, with all it started", half, rng, scene, experiment, group)
    yield _at_instants("`dvc exp run`, DVC alone", half, rng, scene, experiment, alone)
    yield _at_instants("the flow, with all it started", half, rng, scene, _FLOW, group, slower=4)
    yield _at_instants("the flow, alone", half, rng, scene, _FLOW, alone, slower=4)


def cuts(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """dvc.lock cut at a random byte, as a kill or a full disk leaves it; stage or check have kept a copy."""
    made = project.make(folder / "project", {"1.png": b"photo"})
    wanted, _ = project.undisturbed(made)
    tally, whole = Tally("dvc.lock, cut at a byte"), (made / "dvc.lock").read_bytes()
    for number in range(count):
        place = made.with_name("killed")
        shutil.copytree(made, place, symlinks=True)
        lockfile.keep(place)
        (place / "dvc.lock").write_bytes(whole[: int(rng.integers(0, len(whole)))])
        project.again(tally, place, wanted, f"cut {number}")
    yield tally


def _at_instants(
    kind: str,
    count: int,
    rng: np.random.Generator,
    scene: Scene,
    command: list[str],
    kill: Kill,
    slower: float = 1.2,
) -> Tally:
    """slower: how many times the seconds of `dvc repro` the command takes."""
    tally = Tally(f"killed: {kind}")
    for _ in kills.until(tally, count):
        shutil.copytree(scene.made, scene.place, symlinks=True)
        process = _started(command, scene)
        time.sleep(float(rng.uniform(0.3, slower * scene.seconds)))
        if _killed(process, kill):
            project.again(tally, scene.place, scene.wanted, f"{kind} {tally.tried}")
        else:
            project.remove(scene.place)
    return tally


def _started(command: list[str], scene: Scene) -> subprocess.Popen[bytes]:
    variables = project.environment(PREFECT_HOME=str(scene.home))
    variables.pop("PREFECT_API_URL", None)
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    return subprocess.Popen(command, cwd=scene.place, env=variables, start_new_session=True, **quiet)


def _killed(process: subprocess.Popen[bytes], kill: Kill) -> bool:
    """Kill what still runs; whether it did."""
    if process.poll() is None:
        kill(process)
    return process.wait() == -signal.SIGKILL


def _at_calls(kind: str, count: int, rng: np.random.Generator, scene: Scene) -> Tally:
    """One process of the run, DVC or a stage, at the entry of a call that changes files."""
    return _traced(kind, count, rng, scene, kills.CALLS)


def _in_lock(kind: str, count: int, rng: np.random.Generator, scene: Scene) -> Tally:
    """DVC at the entry of one of its writes into dvc.lock, which it has emptied before."""
    return _traced(kind, count, rng, scene, "write", scene.place / "dvc.lock")


def _traced(
    kind: str, count: int, rng: np.random.Generator, scene: Scene, calls: str, path: Path | None = None
) -> Tally:
    tally, log = Tally(f"killed: {kind}"), scene.made.with_name("calls")
    if not shutil.which("strace"):
        return tally
    variables = project.environment(PYTHONDONTWRITEBYTECODE="1")
    shutil.copytree(scene.made, scene.place, symlinks=True)
    options = {"cwd": scene.place, "env": variables, "check": False, "capture_output": True}
    subprocess.run([*kills.traced(log, calls, path=path), *REPRO], **options)
    made = kills.made_calls(log)
    project.remove(scene.place)
    for _ in kills.until(tally, count):
        shutil.copytree(scene.made, scene.place, symlinks=True)
        before = kills.traced(log, calls, made[int(rng.integers(0, len(made)))], path)
        if subprocess.run([*before, *REPRO], **options).returncode:
            project.again(tally, scene.place, scene.wanted, f"{kind} {tally.tried}")
        else:
            project.remove(scene.place)
    return tally


def inbox(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Kills of the inbox flow, alone and with all that it started; then the flow again. The project has no
    model, so both times the flow ends where `adrefine promote` says so."""
    made = project.make(folder / "project", {})
    (made / "inbox").mkdir()
    for number in range(6):
        (made / f"inbox/{number}.png").write_bytes(kills.photo(number))
    (made / "inbox/bad.png").write_bytes(b"no photo")
    scene = Scene(made, {}, 0.0, folder / "prefect")
    shutil.copytree(made, scene.place, symlinks=True)
    start = time.monotonic()
    _started(_INBOX, scene).wait()
    seconds, wanted = time.monotonic() - start, _with_inbox(scene.place)
    shutil.rmtree(scene.place)
    tally = Tally("killed: the inbox flow, alone and with all it started")
    for _ in kills.until(tally, count):
        shutil.copytree(made, scene.place, symlinks=True)
        process = _started(_INBOX, scene)
        time.sleep(float(rng.uniform(0.3, seconds)))
        if _killed(process, (alone, group)[tally.tried % 2]):
            project.mended(scene.place)
            _started(_INBOX, scene).wait()
            found = _with_inbox(scene.place)
            differs = [name for name in wanted | found if wanted.get(name) != found.get(name)]
            tally.add(LOST if differs else RIGHT, f"inbox flow {tally.tried}: {differs}")
        project.remove(scene.place)
    yield tally


def _with_inbox(place: Path) -> dict[str, bytes]:
    files = [path for path in sorted((place / "inbox").rglob("*")) if path.is_file()]
    kept = {str(f.relative_to(place)): f.read_bytes() for f in files if not f.name.startswith(".")}
    return project.results(place) | kept


def all_kinds(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Every kill of this module."""
    from benchmarks.reliability import serve

    yield from serve.all_of(max(1, count // 2), rng, folder / "serve")
    yield from inbox(max(1, count // 2), rng, folder / "inbox")
    yield from all_of(count, rng, folder / "runs")
