"""DVC's list of what its processes read and write: mended where a kill left half of it, and who is in it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

RWLOCK = Path(".dvc/tmp/rwlock")
STAGES = "adrefine.stages."  # how the module of every stage begins
_SHOWN = 80  # characters of a command
_DVC, _STAGE = "DVC", "A stage"


def mend(root: Path = Path()) -> str | None:
    """Remove the list if it is half written, and say so; None: it is whole, or there is none.

    DVC writes it in place: killed in that instant it leaves a list that no later `dvc repro` can read. It
    writes under a lock, which is taken here as well: what is half written then, nobody is writing.
    """
    if _whole(root / RWLOCK):
        return None
    from dvc.lock import make_lock
    from dvc.repo import Repo

    path = root / RWLOCK
    try:
        with Repo(str(root)) as repo:
            linked = repo.config["core"].get("hardlink_lock", False)
    except Exception:  # git is gone, or DVC's settings are: DVC says so itself
        linked = False
    with make_lock(f"{path}.lock", tmp_dir=str(path.parent), hardlink_lock=linked):
        if _whole(path):
            return None
        path.unlink()
    return f"removed {path}, DVC's list of locks: DVC was killed while it wrote it. Nothing else is lost"


def holder(root: Path = Path()) -> str | None:
    """The living DVC process that is at work in `root`, or a stage that outlived it, in a line with what to
    do; None: there is none.

    DVC itself advises to remove its list "if there are no processes with such PIDs", also where there are.
    """
    import psutil

    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    told: dict[str, str] = {}
    for pid in sorted((listed(root) | _running_in(root.resolve())) - mine):
        try:
            process = psutil.Process(pid)
            command, since = process.cmdline(), time.time() - process.create_time()
            dead = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if not dead and (what := _named(command)):
            shown = " ".join(Path(word).name if "/" in word else word for word in command)
            told.setdefault(
                what,
                f"{what} is at work in this folder: process {pid} ({shown[:_SHOWN]}), for {_spent(since)}: "
                f"wait until it has ended, or end it (kill {pid}). Remove no lock while it lives",
            )
    return told.get(_DVC) or told.get(_STAGE)


def listed(root: Path = Path()) -> set[int]:
    """Process numbers in the list."""
    try:
        processes = json.loads((root / RWLOCK).read_bytes())
        infos = [
            *processes.get("write", {}).values(),
            *(i for some in processes.get("read", {}).values() for i in some),
        ]
        return {int(info["pid"]) for info in infos}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return set()


def _running_in(folder: Path) -> set[int]:
    """Processes with DVC or a stage in their command whose folder this is: those that hold a lock of another
    kind, or none."""
    import psutil

    return {
        process.pid
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == str(folder) and _named(process.info["cmdline"] or [])
    }


def _named(command: list[str]) -> str:
    """DVC, for it or as our flows drive it; a stage; "" for a command that only has these in an argument."""
    if any(Path(word).name == "dvc" or word == "adrefine.dvc_driver.child" for word in command[:4]):
        return _DVC
    return _STAGE if any(word.startswith(STAGES) for word in command[1:4]) else ""


def _spent(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        return False
    return True
