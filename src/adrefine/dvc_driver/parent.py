"""A stage whose DVC was killed alone ends with it.

The system leaves such a stage at work. It would write its results into what the next run makes, after DVC has
looked at that or before.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from adrefine.dvc_driver import locks
from adrefine.errors import UserError

if TYPE_CHECKING:  # its import costs every stage a little
    import psutil

_STAGE = "DVC_STAGE"  # environment variable that DVC gives to what it starts
_EVERY = 0.2  # seconds between two looks


def end_with_it() -> None:
    """From now on, kill this process and all that it started once the DVC that started it is gone; a stage
    may be killed at any moment. Nothing for a stage that a person started.

    Raises:
        UserError: that DVC is gone already: it lists itself while it runs a stage.
    """
    if _STAGE not in os.environ:
        return
    import psutil

    above = psutil.Process().parents()
    at_work = locks.listed()
    if at_work and at_work.isdisjoint(one.pid for one in above):
        raise UserError("the DVC that started this stage has ended: run again (`dvc repro`)")
    dvc = next((one for one in above if not _runs_stage(one)), None)
    if dvc is not None:
        threading.Thread(target=_watch, args=(dvc,), daemon=True).start()


def _runs_stage(process: psutil.Process) -> bool:
    """Whether it is the shell between DVC and the stage, which outlives DVC as well."""
    import psutil

    try:
        return any(locks.STAGES in word for word in process.cmdline())
    except psutil.Error:
        return False


def _watch(dvc: psutil.Process) -> None:
    while _lives(dvc):
        time.sleep(_EVERY)
    import psutil

    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue
    os.kill(os.getpid(), signal.SIGKILL)


def _lives(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
