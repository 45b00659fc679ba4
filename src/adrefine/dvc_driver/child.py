"""DVC in a process of its own: says how things stand, waits for the word, then is `dvc repro`.

    python -m adrefine.dvc_driver.child

One start of DVC serves the plan and the run. On the standard output: `PLAN` and a JSON object (the fields of
`plan.Standing`), then, after a line with a JSON list of arguments came in, what `dvc repro` prints. Without
that line, when the input ends, it ends too: a flow that was killed leaves nobody waiting.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from adrefine.dvc_driver import health, locks, preflight
from adrefine.dvc_driver.plan import PLAN
from adrefine.dvc_driver.processes import GRACE
from adrefine.errors import UserError


def main() -> int:
    """Print how things stand and run `dvc repro` when told; its exit code."""
    from dvc.cli import main as dvc
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    try:
        preflight.check()
        for line in health.mend():
            print(line)
        print(PLAN + json.dumps(standing()), flush=True)
    except UserError as error:
        print(f"ERROR: {error}")
        return 255
    except DvcException as error:
        print(f"ERROR: {(locks.holder() if isinstance(error, LockError) else None) or error}")
        return 255
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    word = sys.stdin.readline()
    for handler in logging.getLogger("dvc").handlers:
        handler.addFilter(_named)
    return int(dvc(["repro", *json.loads(word)])) if word.strip() else 0


def _end_with(parent: int) -> None:
    """Interrupt this DVC and its stages, as by ctrl-C, when the program that started them is gone: killed, it
    could not do so itself, and the next run would find them at work."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGINT)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


def _named(record: logging.LogRecord) -> bool:
    """In the place of DVC's advice to remove a lock by hand: the process that holds it."""
    error = record.exc_info[1] if record.exc_info else None
    if "rwlock'" in f"{record.getMessage()}{error}" and (holder := locks.holder()):
        record.msg, record.args, record.exc_info = holder, (), None
    return True


def standing() -> dict[str, Any]:
    """The stages in the order in which `dvc repro` visits them, and what changed; see `Standing`."""
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    with Repo() as repo:
        changed = repo.status()
        graph = repo.index.graph
        stages = plan_repro(graph)
        return {
            "stages": [stage.addressing for stage in stages],
            "edges": sorted([dep.addressing, stage.addressing] for stage, dep in graph.edges),
            "never": [s.addressing for s in stages if s.deps and not any(dep.hash_info for dep in s.deps)],
            "changed": changed,
            "settings": {stage.addressing: dict(_settings(stage)) for stage in stages},
        }


def _settings(stage: Any) -> Iterator[tuple[str, list[str]]]:
    """Dotted key of each setting that is not as when `stage` ran, and the value of then and of now.

    DVC itself names the section alone.
    """
    from dvc.dependency import ParamsDependency

    for dep in stage.deps:
        if isinstance(dep, ParamsDependency) and dep.hash_info:
            was, is_ = _flat(dep.hash_info.value), _flat(dep.read_params())
            for key in sorted(was.keys() | is_.keys()):
                if was.get(key) != is_.get(key):
                    yield key, [json.dumps(values.get(key)).strip('"') for values in (was, is_)]


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    if not isinstance(content, dict):
        return {prefix: content}
    return {
        inner: value
        for key, part in content.items()
        for inner, value in _flat(part, f"{prefix}.{key}" if prefix else str(key)).items()
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
