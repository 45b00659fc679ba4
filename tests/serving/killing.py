"""Kill a piece of work by SIGKILL at every line that it runs, one after the other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import FrameType
from typing import Any

Attempt = Callable[[int], tuple[Callable[[], object], Callable[[], None]]]


def alone(course: Callable[..., None], *arguments: Any) -> None:
    """`course(*arguments)` in a process of its own: one that has run many tests forks ten times slower."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(course, *arguments).result()


def until_it_survives(attempt: Attempt, files: tuple[str, ...]) -> int:
    """Run `attempt(n)[0]` in a child that is killed before line n, for n = 1, 2 …, until it is through;
    after each kill `attempt(n)[1]` checks what is left.

    Args:
        files: endings of the files whose lines count.

    Returns:
        Number of kills.
    """
    kills = 0
    while True:
        work, check = attempt(kills)
        if _survives(work, kills + 1, files):
            return kills
        kills += 1
        check()


def _survives(work: Callable[[], object], last: int, files: tuple[str, ...]) -> bool:
    child = os.fork()
    if not child:
        code = 1
        try:
            sys.settrace(_killer(last, files))
            work()
            sys.settrace(None)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def _killer(last: int, files: tuple[str, ...]) -> Callable[[FrameType, str, Any], Any]:
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.endswith(files):
            return None
        if event == "line":
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace
