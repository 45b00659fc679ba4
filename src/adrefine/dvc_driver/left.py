"""What a killed `dvc exp run` leaves in git: no branch, at times the user's changes in the stash alone.

DVC stashes what is not committed, detaches HEAD, applies the stash with the settings of the experiment,
keeps that as a stash of its own, goes back, and pops the user's. Then it checks out the commit by force,
applies its own stash on top and runs. Killed, it leaves any of these states, and files that are half written.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

_MERGE = "refs/exps/exec/EXEC_MERGE"  # the user's changes and the settings, while an experiment runs
_COMMITTED = "commit: dvc: commit experiment"
_KEPT = "refs/exps/exec/EXEC_HEAD"
_MADE = (_MERGE, "refs/exps/exec/EXEC_BASELINE")
_MOVED = "checkout: moving from "  # how git's log names what DVC does before it runs an experiment
_LOCKS = Path(".dvc/tmp/exps/rwlock")  # who is at work on what; a kill leaves its entries
_STASHING = "refs/exps/stash"
_OURS = ("--", ".", ":!.dvc/tmp")  # all files but those of DVC's own that it commits for a moment
_SLACK = 2.0  # seconds between that entry and the stash, for clocks of whole seconds


def left_behind(root: Path = Path()) -> str | None:
    """What is not as it was before, and the commands that bring it back; None: nothing. To be called while no
    DVC runs."""
    if git(root, "rev-parse", "--git-dir") is None:
        return None
    there = git(root, "symbolic-ref", "-q", "--short", "HEAD")
    branch = there or _left_branch(root)
    if branch is None:
        return None
    back = [] if there else [f"git symbolic-ref HEAD refs/heads/{branch}"]
    where = "git is on no branch" if back else "git is on its branch"
    if _stashed(root):
        steps = [*back, "git read-tree -u --reset 'stash@{0}'", "git reset -q", "git stash drop -q"]
        return (
            f"`dvc exp run` was killed: {where}, and what you had not committed (answers, params.yaml) is in "
            f"`git stash`{_later(root)}: {' && '.join(steps)}"
        )
    made = [name for name in _MADE if git(root, "rev-parse", "-q", "--verify", name)]
    if there or not (made or _ends(root)):
        return None
    if _MERGE in made and (lost := _lost(root, branch)):
        files = " ".join(map(shlex.quote, lost))
        return (
            f"`dvc exp run` was killed: {where}, and what you had not committed of {', '.join(lost)} is in a "
            f"commit of DVC's alone: {back[0]} && git checkout -q {_MERGE} -- {files} && git reset -q"
        )
    return (
        f"`dvc exp run` was killed: {where}; your files are as they were, params.yaml has the settings of "
        f"the experiment: {back[0]}"
    )


def _left_branch(root: Path) -> str | None:
    """The branch that HEAD was on before DVC detached it; None: it was no DVC."""
    branch = _moved(root).partition(" to ")[0]
    return branch if branch and git(root, "rev-parse", "-q", "--verify", f"refs/heads/{branch}") else None


def _ends(root: Path) -> bool:
    """Whether DVC had removed its names, all but one that it keeps, and not gone back to the branch: it
    detaches HEAD by the whole hash of the commit, as no person does."""
    commit = git(root, "rev-parse", "-q", "--verify", _KEPT)
    return commit is not None and _moved(root).endswith(f" to {commit}")


def _moved(root: Path) -> str:
    """`main to 1a2b…`: the last checkout, if nothing came after it but the commit of an experiment."""
    log = (git(root, "log", "-g", "-3", "--format=%gs", "HEAD") or "").splitlines()
    last = next((line for line in log if not line.startswith(_COMMITTED)), "")
    return last.partition(_MOVED)[2]


def _stashed(root: Path) -> bool:
    """Whether the newest stash was made by a DVC that died before it popped it: of the commit that is checked
    out, and since that DVC is listed as the one who stashes."""
    if _STASHING not in _listed(root):
        return False
    since = (root / _LOCKS).stat().st_mtime
    base, head = git(root, "rev-parse", "-q", "--verify", "stash^1"), git(root, "rev-parse", "HEAD")
    made = git(root, "log", "-1", "--format=%ct", "stash") or "0"
    return base is not None and base == head and int(made) >= since - _SLACK


def _listed(root: Path) -> set[str]:
    """What DVC lists as being written by an experiment."""
    try:
        return set(json.loads((root / _LOCKS).read_bytes())["write"])
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _later(root: Path) -> str:
    """A warning of tracked files that somebody wrote since the stash: the commands would undo that."""
    made = float(git(root, "log", "-1", "--format=%ct", "stash") or 0)
    changed = [root / name for name in (git(root, "diff", "--name-only", "stash", *_OURS) or "").splitlines()]
    names = [path.name for path in changed if path.exists() and path.stat().st_mtime > made + 60]
    return f" (first save copies of {', '.join(names)}, changed since)" if names else ""


def _lost(root: Path, branch: str) -> list[str]:
    """Files with changes that DVC holds, and that are in the folder as of the branch, or the first part of
    what they should be. HEAD may be the commit of the experiment already."""
    held = (git(root, "diff", "--name-only", "--diff-filter=AM", branch, _MERGE, *_OURS) or "").splitlines()
    return [name for name in held if _is_lost(root, name, branch)]


def _is_lost(root: Path, name: str, branch: str) -> bool:
    """By content: git takes a file of the same length, written in the moment of its index, for unchanged."""
    whole, before = (
        subprocess.run(["git", "show", f"{commit}:{name}"], cwd=root, capture_output=True, check=False).stdout
        for commit in (_MERGE, branch)
    )
    content = (root / name).read_bytes() if (root / name).exists() else b""
    return content == before or (len(content) < len(whole) and whole.startswith(content))


def git(root: Path, *arguments: str) -> str | None:
    """What git says; None: it refused, or there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
