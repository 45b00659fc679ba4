"""DVC's list of what its processes read and write, mended where a kill left half of it."""

from __future__ import annotations

import json
from pathlib import Path

RWLOCK = Path(".dvc/tmp/rwlock")


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
    with Repo(str(root)) as repo:
        linked = repo.config["core"].get("hardlink_lock", False)
    with make_lock(f"{path}.lock", tmp_dir=str(path.parent), hardlink_lock=linked):
        if _whole(path):
            return None
        path.unlink()
    return f"removed {path}, DVC's list of locks: DVC was killed while it wrote it. Nothing else is lost"


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        return False
    return True
