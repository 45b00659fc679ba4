"""A run that the page starts: one at a time, to be stopped, told to whoever asks."""

from __future__ import annotations

import queue
import time
from collections.abc import Generator

import pytest

from adrefine.errors import UserError
from adrefine.review_page.applying import Run


class Work:
    """Stands for `dvc repro`: says what `says` holds (None: it ends; an error: it is raised)."""

    def __init__(self) -> None:
        self.says: queue.Queue[str | UserError | None] = queue.Queue()
        self.ended, self.done = 0, 0
        self.run = Run(self._done, self._lines)

    def _done(self) -> None:
        self.done += 1

    def _lines(self) -> Generator[str]:
        try:
            while (line := self.says.get(timeout=20)) is not None:
                if isinstance(line, UserError):
                    raise line
                yield line
        finally:
            self.ended += 1

    def until(self, state: str) -> None:
        end = time.monotonic() + 20
        while self.run.state != state:
            assert time.monotonic() < end, f"{self.run.state}, not {state}"
            time.sleep(0.01)


@pytest.fixture
def work() -> Work:
    return Work()


def test_one_run_at_a_time_and_its_lines_from_any_place_on(work: Work) -> None:
    assert work.run.told(0) == {"state": "none", "lines": [], "next": 0}
    assert work.run.start()
    assert not work.run.start()
    for line in ("one", "two", None):
        work.says.put(line)
    work.until("done")
    assert (work.done, work.ended) == (1, 1)
    assert work.run.told(0) == {"state": "done", "lines": ["one", "two"], "next": 2}
    assert work.run.told(1)["lines"] == ["two"]
    work.run.close()
    assert work.run.start()
    work.says.put(None)
    work.run.close()
    assert work.run.lines == []


def test_a_stop_shows_at_once_and_ends_the_work_at_its_next_line(work: Work) -> None:
    work.run.start()
    work.says.put("one")
    work.run.stop()
    assert work.run.told(0)["state"] in ("stopping", "stopped")
    work.says.put("two")
    work.until("stopped")
    assert (work.done, work.ended) == (0, 1)
    work.run.stop()
    assert work.run.state == "stopped"


def test_a_mistake_is_the_last_line(work: Work) -> None:
    work.run.start()
    work.says.put(UserError("photos are missing"))
    work.until("failed")
    assert work.run.told(0)["lines"] == ["adrefine: error: photos are missing"]
    assert (work.done, work.ended) == (0, 1)
