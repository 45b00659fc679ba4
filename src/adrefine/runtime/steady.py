"""A stage as a program: what it reads must stay as it is while it runs.

DVC hashes a stage's inputs when the stage has ended. An answer given while refine runs, or a photo dropped
while ingest runs, would be recorded as used, and its result kept in the run cache for good. So a stage looks
at all its inputs before and after, and fails if they differ; `dvc repro` then runs it again. What changes in
the moment between that second look and DVC's own remains unseen.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adrefine import io, strict_yaml
from adrefine.dvc_driver import lockfile, parent
from adrefine.errors import UserError, exit_cleanly

PARAMS, GRAPH = "params.yaml", Path("dvc.yaml")
_DEPTH = 60  # of folders; deeper is a link to a folder that it lies in
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
Prints = dict[str, object]  # by input: what tells whether it changed


def run(stage: str, main: Callable[[], None]) -> None:
    """Run `main`, the stage called so in dvc.yaml, as `exit_cleanly` does. It ends with its DVC."""

    def with_dvc() -> None:
        parent.end_with_it()
        steadily(stage, main)

    exit_cleanly(with_dvc)


def steadily(stage: str, main: Callable[[], None]) -> None:
    """Run `main`.

    Raises:
        UserError: an input of the stage changed meanwhile; says which.
    """
    lockfile.keep()
    before = fingerprints(stage)
    main()
    after = fingerprints(stage)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(f"{changed[0]}{more} changed while {stage} ran: run again (`dvc repro`)")


def fingerprints(stage: str) -> Prints:
    """Of every file and section of params.yaml that dvc.yaml names as an input of `stage`; of a file its
    size, time of change and inode. Nothing outside a project."""
    if not GRAPH.exists():
        return {}
    settings = _content(Path(PARAMS))
    graph = _content(GRAPH)
    entry = (graph.get("stages") or {}).get(stage) or {}
    prints: Prints = {}
    for named in entry.get("params") or []:
        if isinstance(named, dict):  # keys of another file
            for file in named:
                prints |= _files(Path(file))
            continue
        name = _filled(str(named), settings)
        prints[f"`{name}` of {PARAMS}"] = json.dumps(_value(settings, name), default=str, sort_keys=True)
    for named in entry.get("deps") or []:
        place = _filled(named, settings)
        if not (stage == "ingest" and named.startswith("$") and _value(settings, "dataset.name") == "demo"):
            prints |= _files(Path(place))  # the demo's photos are made by the stage itself
    return prints


def _filled(text: str, settings: Mapping[str, Any]) -> str:
    """`text` with the settings that it names as ${section.key}."""
    return _VARIABLE.sub(lambda match: str(_value(settings, match[1])), text)


def _files(place: Path) -> Iterator[tuple[str, object]]:
    """A file, or those in a folder and below; links count as what they lead to."""
    if not place.is_dir():
        yield str(place), _state(place)
        return
    for folder, folders, names in os.walk(place, followlinks=True):
        folders.sort()
        if folder.count(os.sep) > _DEPTH:
            folders.clear()
        for name in names:
            path = Path(folder, name)
            if not (name.endswith(".pyc") or name.startswith(".")):
                yield str(path), _state(path)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _value(settings: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _content(path: Path) -> dict[str, Any]:
    """A YAML file; nothing, if it cannot be read: who needs it says so."""
    try:
        return strict_yaml.mapping(io.content(path))
    except OSError:
        return {}
