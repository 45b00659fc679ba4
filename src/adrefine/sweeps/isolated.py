"""One `dvc exp run` in a clone of its own, so that any number can run at once and none harms another.

Not `dvc exp run --temp`: runs of one workspace fail at its lock when they start together (one of three did)
and share a stash, out of which one may take another's settings. Clones share nothing but caches.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adrefine.dvc_driver.processes import Failed, output, stream
from adrefine.errors import UserError
from adrefine.sweeps.experiments import Experiment

DVC = [sys.executable, "-m", "dvc"]
_GRACE = 5.0  # seconds between asking a program to end and ending it
_INPUTS = (
    *(("dataset", "root"), ("dataset", "roi"), ("embed", "weights")),
    *(("pretrain_pdn", "images"), ("pretrain_pdn", "weights")),
)


@dataclass(frozen=True)
class Source:
    """Where runs come from, and what they share.

    Attributes:
        repository: git URL or path; cloned, and given the experiments.
        commit: what every experiment belongs to.
        cache: DVC's cache, with its run cache: what one run computed no other does.
        side: cache of decoded photos and features (`paths.side_cache`).
        pull: whether data come from the DVC remote and results go there.
    """

    repository: str
    commit: str
    cache: Path
    side: Path
    pull: bool = False


def run(
    source: Source, experiment: Experiment, folder: Path, environment: Mapping[str, str] | None = None
) -> Generator[str]:
    """Run one experiment in `folder`, which is made anew and deleted at the end; its lines as they come.

    The experiment appears in the repository when all is done, or not at all. Ending it at any moment leaves
    nothing but `folder` (and files in the shared caches, which are whole or not there).

    Raises:
        Failed: a program failed; its last line says why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield from _clone(source, experiment, folder)
        env = {**_environment(source, folder), **(environment or {})}
        if source.pull:
            yield from _followed(["pull", "--run-cache", "--allow-missing"], folder, env)
        pull = ["--pull"] if source.pull else []
        yield from _followed(["exp", "run", *pull, *experiment.arguments], folder, env)
        if source.pull:  # the files first: an experiment that others see is complete
            yield from _followed(["push", "--run-cache"], folder, env)
        yield from _followed(["exp", "push", "--no-cache", "origin", experiment.name], folder, env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _followed(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Generator[str]:
    return stream([*DVC, *arguments], folder=folder, environment=environment)


def _clone(source: Source, experiment: Experiment, folder: Path) -> Generator[str]:
    """The repository at the commit, with the shared cache and what git does not hold but the run reads."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    yield from stream(["git", "clone", "--quiet", "--no-checkout", source.repository, str(folder)])
    try:
        yield from stream(["git", "checkout", "--quiet", "--detach", source.commit], folder=folder)
    except Failed:
        raise UserError(f"{source.repository} has no commit {source.commit[:8]}: push it first") from None
    # Links spare a copy of the data; a stage's outputs are removed before it runs, never written into.
    config = f"[cache]\n    dir = {source.cache}\n    type = reflink,hardlink,copy\n"
    (folder / ".dvc/config.local").write_text(config)
    if not source.pull:
        link_inputs(Path(source.repository), experiment.settings, folder)


def link_inputs(root: Path, settings: Mapping[str, Any], folder: Path) -> None:
    """Put the photos and weights that `settings` name by a path in the project, but git does not hold, there.

    Linked where the file system can, copied where not.
    """
    named = [(settings.get(section) or {}).get(key) for section, key in _INPUTS]
    inside = [name for name in named if name and not Path(name).is_absolute() and (root / name).exists()]
    if not inside:
        return
    listed = output(["git", "ls-files", "-z", "--others", "--", *inside], folder=root)
    for name in filter(None, listed.split("\0")):
        there = folder / name
        if (root / name).is_file() and not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(root / name, there)
            except OSError:
                shutil.copy2(root / name, there)


def _environment(source: Source, folder: Path) -> dict[str, str]:
    """The clone's own code, and nothing of DVC's outside the clone but the cache."""
    names = {f"GIT_{who}_NAME": "adrefine" for who in ("AUTHOR", "COMMITTER")}
    emails = {f"GIT_{who}_EMAIL": "adrefine@localhost" for who in ("AUTHOR", "COMMITTER")}
    known = "GIT_AUTHOR_EMAIL" in os.environ or _has_identity()
    return {
        **({} if known else names | emails),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder / "src"), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "ADREFINE_CACHE_DIR": str(source.side),
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),
    }


def _has_identity() -> bool:
    """Whether git knows who commits; a worker's machine may have nobody."""
    try:
        return bool(output(["git", "config", "--global", "user.email"]).strip())
    except Failed:
        return False


def end_all(folder: Path) -> int:
    """End every program that runs in `folder` or below: what a killed sweep left. How many they were."""
    processes = _running_in(folder.resolve())
    for number in (signal.SIGINT, signal.SIGKILL):
        for process in _running_in(folder.resolve()):
            with suppress(Exception):
                process.send_signal(number)
        end = time.monotonic() + _GRACE
        while _running_in(folder.resolve()) and time.monotonic() < end:
            time.sleep(0.1)
    return len(processes)


def _running_in(folder: Path) -> list[Any]:
    import psutil

    processes = []
    for process in psutil.process_iter(["cwd", "pid", "status"]):
        cwd = process.info["cwd"]  # None: another user's
        if cwd and process.info["pid"] != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE:
            inside = Path(cwd.removesuffix(" (deleted)"))
            if inside == folder or folder in inside.parents:
                processes.append(process)
    return processes
