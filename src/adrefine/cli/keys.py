"""One key at a time: from a terminal without Enter, from a file or pipe letter by letter."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self, TextIO

_END = "q"  # what the end of the input, and Ctrl-C, count as


class Keys:
    """Reads keys of `source`; a terminal gives each at once, and is as before when the block ends."""

    def __init__(self, source: TextIO) -> None:
        self.source = source
        self.before: list[Any] | None = None

    def __enter__(self) -> Self:
        if sys.platform != "win32" and self.source.isatty():
            import termios
            import tty

            self.before = termios.tcgetattr(self.source)
            tty.setcbreak(self.source)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform != "win32" and self.before is not None:
            import termios

            termios.tcsetattr(self.source, termios.TCSADRAIN, self.before)

    def one_of(self, keys: Collection[str], prompt: str) -> str:
        """The next key that is one of `keys`, in any case; `q` at the end of the input."""
        print(prompt, end="", flush=True)
        while (key := self._read().lower()) not in keys:
            if key in ("", "\x03", "\x04"):
                key = _END
                break
        print(key)
        return key

    def _read(self) -> str:
        try:
            if sys.platform == "win32" and self.source.isatty():
                import msvcrt

                return msvcrt.getwch()
            return self.source.read(1)
        except KeyboardInterrupt:
            return ""
