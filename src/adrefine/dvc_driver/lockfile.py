"""dvc.lock, which DVC writes in place: what a kill or a full disk left of it is put back from a copy.

Every stage keeps a copy of the whole file before it begins, and so does whoever looks at the project before a
run. A file that was cut where a buffer ended is valid YAML and has fewer stages, which DVC takes for stages
that never ran; so a stage that is in the copy and in dvc.yaml must be in the file. To put back a copy that is
a stage behind is never wrong: DVC compares every entry with what lies on the disk.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adrefine import strict_yaml
from adrefine.io import write_durably

LOCK, COPY = Path("dvc.lock"), Path(".dvc/tmp/adrefine/dvc.lock")
GRAPH = Path("dvc.yaml")


def keep(root: Path = Path()) -> None:
    """Copy the file, if it is whole; does nothing outside a project."""
    if not (root / COPY.parts[0]).is_dir():
        return
    content = _read(root / LOCK)
    if content is not None and content != _read(root / COPY) and not _torn(root, content):
        write_durably(root / COPY, content)


def mend(root: Path = Path()) -> str | None:
    """Put the copy back if the file is torn, and say so; None: it is whole, or there is none. To be called
    while no DVC runs."""
    content = _read(root / LOCK)
    why = None if content is None else _torn(root, content)
    if why is None:
        keep(root)
        return None
    whole, whence = _read(root / COPY), "as it was before the last stage that ran"
    if whole is None or _stages(whole) is None:
        whole, whence = _committed(root), "as it was committed"
    if whole is None:
        (root / LOCK).unlink()
        return f"{LOCK} {why}: removed, for there is no copy: results are restored from DVC's run cache"
    write_durably(root / LOCK, whole)
    return f"{LOCK} {why}, as after a kill while DVC wrote it: put back {whence}"


def _torn(root: Path, content: bytes) -> str | None:
    """What is wrong with a file that holds `content`; None: nothing."""
    stages = _stages(content)
    if stages is None:
        return "is empty" if not content.strip() else "is cut off"
    if content == _committed(root):
        return None
    before = _stages(_read(root / COPY) or b"") or {}
    if list(stages) != list(before)[: len(stages)]:  # DVC changes no order: somebody else wrote it
        return None
    kept = {name for name, entry in stages.items() if not _is_beginning(entry, before[name])}
    lost = [name for name in before if name not in kept and name in _graph(root)]
    return f"has lost {', '.join(lost)}" if lost else None


def _is_beginning(entry: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an entry names the first of what it named before, and not the rest."""
    now, then = list(_names(entry)), list(_names(before))
    return len(now) < len(then) and now == then[: len(now)]


def _names(content: Any, place: str = "") -> Iterator[str]:
    """Every key of an entry and of what is in it, in the order of the file."""
    if isinstance(content, dict):
        for key, inner in content.items():
            yield f"{place}/{key}"
            yield from _names(inner, f"{place}/{key}")
    elif isinstance(content, list):
        for inner in content:
            name = inner.get("path") if isinstance(inner, dict) else ""
            yield from _names(inner, f"{place}/{name}")


def _stages(content: bytes) -> dict[str, Any] | None:
    """The entries by stage; None: the file is not whole."""
    lock = strict_yaml.mapping(content)
    if not isinstance(lock.get("schema"), str):
        return None
    stages = lock.get("stages")
    if not isinstance(stages, dict):
        return None
    return stages if content.endswith(b"\n") and all(map(_is_whole, stages.values())) else None


def _is_whole(entry: Any) -> bool:
    """Whether an entry has what DVC always writes: its lists are never empty."""
    if not isinstance(entry, dict) or not isinstance(entry.get("cmd"), str | list):
        return False
    lists = [entry[name] for name in ("deps", "outs") if name in entry]
    sections = entry.get("params", {"": {"": 0}})
    return (
        all(isinstance(one, list) and one and all(map(_has_hash, one)) for one in lists)
        and isinstance(sections, dict)
        and all(isinstance(one, dict) and one for one in sections.values())
    )


def _has_hash(item: Any) -> bool:
    return isinstance(item, dict) and {"path", "hash"} <= item.keys() and item.get(item["hash"]) is not None


def _graph(root: Path) -> set[str]:
    """Names of the stages in dvc.yaml."""
    stages = strict_yaml.mapping(_read(root / GRAPH) or b"").get("stages")
    return set(stages) if isinstance(stages, dict) else set()


def _committed(root: Path) -> bytes | None:
    """The file as of the commit that is checked out."""
    command = ["git", "show", f"HEAD:./{LOCK}"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    except OSError:  # no git
        return None
    return done.stdout if done.returncode == 0 and _stages(done.stdout) is not None else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
