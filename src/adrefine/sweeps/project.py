"""The project that a sweep starts from: its commit, and that no other sweep is at work in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adrefine import strict_yaml
from adrefine.dvc_driver.processes import output
from adrefine.errors import UserError
from adrefine.io import locked
from adrefine.sweeps import isolated

RUNS = Path(".adrefine/sweep")  # one clone for each run that is going on
_RESULTS = (
    "dvc.lock",
    "reports/metrics.json",
    "reports/headline.json",
)  # what runs write; it decides nothing


def commit(root: Path) -> str:
    """The commit that experiments of this project belong to.

    Raises:
        UserError: a file that decides results differs from it; names the files.
    """
    status = output(["git", "status", "--porcelain", "--untracked-files=no"], folder=root).splitlines()
    changed = [line[3:] for line in status if line[3:] not in _RESULTS]
    if changed:
        raise UserError(
            f"not committed: {', '.join(changed)}. Experiments belong to a commit: commit them, or git stash"
        )
    return output(["git", "rev-parse", "HEAD"], folder=root).strip()


def settings(root: Path, revision: str) -> dict[str, Any]:
    """params.yaml as committed."""
    text = output(["git", "show", f"{revision}:params.yaml"], folder=root)
    content = strict_yaml.parsed(text, f"params.yaml of {revision[:8]}")
    return content if isinstance(content, dict) else {}


def source(root: Path, revision: str) -> isolated.Source:
    """Runs of this machine: they share the project's caches and put their experiments into it."""
    cache = Path(output(["dvc", "cache", "dir"], folder=root).strip().splitlines()[-1])
    return isolated.Source(str(root), revision, root / cache, root / ".adrefine/cache")


@contextmanager
def claimed(root: Path) -> Iterator[Path]:
    """The folder for runs, emptied, with every program ended that a killed sweep left in it.

    Raises:
        UserError: another sweep is at work here.
    """
    with locked((root / RUNS).with_suffix(".lock"), "another sweep is at work in this folder"):
        isolated.end_all(root / RUNS)
        shutil.rmtree(root / RUNS, ignore_errors=True)
        yield root / RUNS


def fetch(root: Path, revision: str) -> None:
    """Bring the experiments of the commit, which workers pushed, from the git remote."""
    refs = f"refs/exps/{revision[:2]}/{revision[2:]}/*"
    output(["git", "fetch", "--quiet", "origin", f"{refs}:{refs}"], folder=root)
