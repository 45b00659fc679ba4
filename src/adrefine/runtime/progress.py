"""Progress bars: moving ones in a terminal, whole lines now and then where the output goes to a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import Any, NoReturn, TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
_EVERY = 10.0  # seconds between the lines of a log
_LINE = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def over(items: Iterable[T], *, total: int | None = None, label: str, unit: str) -> Iterator[T]:
    """`items`, with a progress bar on stderr that moves with them.

    Args:
        total: how many there are, where `items` has no length. label, unit: as of `bar`.
    """
    with bar(total=len(items) if isinstance(items, Sized) else total or 0, label=label, unit=unit) as moving:
        for item in items:
            yield item
            moving.update()


def bar(*, total: int, label: str, unit: str, done: int = 0, transient: bool = False) -> tqdm[NoReturn]:
    """A progress bar on stderr, moved by its `update`; without work (`total` 0) there is none.

    Where stderr is no terminal it writes a line after every ten seconds and a last one, and no carriage
    return: a log stays readable.

    Args:
        total: how many there are; `done` of them before this run.
        label, unit: what the whole and one of it are called.
        transient: the bar goes when it ends; a log has no last line of it.
    """
    look: dict[str, Any] = {"mininterval": 0.2}
    if not (terminal := sys.stderr.isatty()):
        look = {"file": _Lines(sys.stderr), "mininterval": _EVERY, "maxinterval": _EVERY, "delay": _EVERY}
        look["bar_format"] = _LINE
    made = tqdm(
        total=total, desc=label, unit=unit, initial=done, leave=not transient, disable=not total, **look
    )
    if not terminal:
        made.delay = 0  # it kept the bar from writing "0 %"; it must not keep a short one from its last line
    return made


class _Lines:
    """What tqdm writes to redraw a bar, as lines of a log."""

    def __init__(self, log: TextIO) -> None:
        self._log, self._last = log, ""

    def write(self, text: str) -> None:
        """Blank redraws (a bar that goes) and repeated ones are left out."""
        line = text.replace("\x1b[A", "").strip()
        if line and line != self._last:
            self._last = line
            self._log.write(line + "\n")

    def flush(self) -> None:
        """Flush the log."""
        self._log.flush()
