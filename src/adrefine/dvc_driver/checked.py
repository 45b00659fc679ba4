"""`dvc repro` with everything that can be said, mended or refused before it: what a person starts."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path

from adrefine.dvc_driver.settings import Value
from adrefine.errors import UserError

_FOLDERS = ("dataset.root", "pretrain_pdn.images", "inbox.folder")


def lines(changes: Mapping[str, Value], force: bool = False) -> Generator[str]:
    """What is mended, what is written, then the lines of `dvc repro`. Closing the generator ends the run.

    Args:
        changes: dotted keys of params.yaml and their new values.

    Raises:
        UserError: something is wrong before; another DVC is at work. Failed: a stage failed.
    """
    from adrefine import params
    from adrefine.dvc_driver import health, lockfile, preflight, settings
    from adrefine.dvc_driver.repro import events

    preflight.check_disk(Path())
    yield from health.mend()
    if busy := health.look():
        raise UserError(busy)
    changes = {key: _without_home(key, value) for key, value in changes.items()}
    for key in settings.write(changes):
        yield f"params.yaml: {key} = {changes[key]}"
    preflight.check_settings(params.load_whole())
    for event in events(force):
        yield event.line
    lockfile.keep()


def _without_home(key: str, value: Value) -> Value:
    """A folder without `~` and environment variables, which DVC does not know."""
    from adrefine.starting.project import expanded

    return expanded(value) if key in _FOLDERS and isinstance(value, str) else value
