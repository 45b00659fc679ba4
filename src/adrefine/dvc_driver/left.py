"""What a killed `dvc exp run` leaves in git: no branch, at times the user's changes in the stash alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

_MADE = ("refs/exps/exec/EXEC_MERGE", "refs/exps/exec/EXEC_BASELINE")  # while it runs; removed at its end
_MOVED = "checkout: moving from "  # how git's log names what DVC does before it runs an experiment


def left_behind(root: Path = Path()) -> str | None:
    """What is not as it was before, and the commands that bring it back; None: nothing. To be called while no
    DVC runs."""
    if git(root, "rev-parse", "--git-dir") is None or git(root, "symbolic-ref", "-q", "HEAD") is not None:
        return None
    moved = (git(root, "log", "-g", "-1", "--format=%gs|%ct", "HEAD") or "").partition(_MOVED)[2]
    branch = moved.partition(" to ")[0]
    began = any(git(root, "rev-parse", "-q", "--verify", name) for name in _MADE)
    stashed = _newest_stash(root)
    if not branch or not (began or stashed) or git(root, "rev-parse", "-q", "--verify", branch) is None:
        return None
    back = f"git symbolic-ref HEAD refs/heads/{branch}"
    if stashed and not began:  # the interval in which they are nowhere else
        return (
            "`dvc exp run` was killed: git is on no branch, and what you had not committed (answers, "
            f"params.yaml) is in `git stash` alone: {back} && git stash pop"
        )
    return (
        "`dvc exp run` was killed: git is on no branch; your files are as they were, params.yaml has the "
        f"settings of the experiment: {back}"
    )


def _newest_stash(root: Path) -> bool:
    """Whether the newest stash was made of the commit that is checked out."""
    base, head = git(root, "rev-parse", "-q", "--verify", "stash^1"), git(root, "rev-parse", "HEAD")
    return base is not None and base == head


def git(root: Path, *arguments: str) -> str | None:
    """What git says; None: it refused, or there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
