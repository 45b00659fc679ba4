"""`dvc repro`, started from the page: one at a time, its lines kept for whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

from adrefine.dvc_driver import checked
from adrefine.errors import UserError

MOST = 5000  # lines that are kept
PATIENCE = 10.0  # seconds to wait for its end


class Run:
    """The last run, or none. Its methods may be called by several threads.

    Args:
        lines: starts a run; its lines. done: is called when one has ended well.
    """

    def __init__(
        self, done: Callable[[], None], lines: Callable[[], Generator[str]] = lambda: checked.lines({})
    ) -> None:
        self._lines_of, self._done = lines, done
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lines: list[str] = []
        self.state = "none"  # none | running | stopping | done | failed | stopped

    def start(self) -> bool:
        """Begin; whether it did: False while one runs."""
        with self._lock:
            if self._thread and self._thread.is_alive():
                return False
            self._stop.clear()
            self.lines, self.state = [], "running"
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()
            return True

    def stop(self) -> None:
        """End the run, as ctrl-C would, at its next line."""
        with self._lock:
            self._stop.set()
            if self.state == "running":
                self.state = "stopping"

    def close(self) -> None:
        """End the run; one that says nothing ends with this process."""
        self.stop()
        if self._thread:
            self._thread.join(PATIENCE)

    def told(self, since: int) -> dict[str, Any]:
        """The lines after the first `since`, and how it stands."""
        lines = self.lines[max(since, 0) :]
        return {"state": self.state, "lines": lines, "next": max(since, 0) + len(lines)}

    def _follow(self) -> None:
        state, running = "failed", self._lines_of()
        try:
            for line in running:
                if len(self.lines) < MOST:
                    self.lines.append(line)
                if self._stop.is_set():
                    state = "stopped"
                    break
            else:
                self._done()
                state = "done"
        except UserError as error:
            self.lines.append(f"adrefine: error: {error}")
        finally:
            running.close()
            with self._lock:
                self.state = state
