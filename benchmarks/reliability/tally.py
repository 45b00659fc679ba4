"""What became of many tries of one kind."""

from __future__ import annotations

import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from adrefine.errors import UserError, explained

RIGHT, REFUSED, WRONG, TRACEBACK, SLOW = "right", "refused", "wrong", "traceback", "slow"
HAND, LOST = "hand", "lost"
LIMIT = 20  # seconds that a try may take


@dataclass
class Tally:
    """Tries of a kind.

    Attributes:
        kind: what was tried, for people.
        counts: by outcome.
        first: of every bad outcome the first, for whoever mends it.
        slowest: seconds of the longest try.
    """

    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0

    @property
    def tried(self) -> int:
        return sum(self.counts.values())

    def add(self, outcome: str, what: str = "") -> None:
        self.counts[outcome] += 1
        if outcome not in (RIGHT, REFUSED):
            self.first.setdefault(outcome, what)

    def judge(self, act: Callable[[], bool], what: str) -> None:
        """Count one try: `act` says whether its result is right; a UserError is a refusal in a line."""
        start = time.monotonic()
        try:
            with _limit():
                self.add(RIGHT if act() else WRONG, what)
        except _Late:
            self.add(SLOW, what)
        except UserError as error:
            self.add(TRACEBACK if "\n" in str(error).strip() else REFUSED, f"{what}: {error}")
        except Exception as error:
            last = traceback.format_exc().strip().splitlines()[-1]
            self.add(REFUSED if explained(error) else TRACEBACK, f"{what}: {last}")
        self.slowest = max(self.slowest, time.monotonic() - start)

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "tried": self.tried,
            **{name: self.counts[name] for name in (RIGHT, REFUSED, WRONG, TRACEBACK, SLOW, HAND, LOST)},
            "slowest_s": round(self.slowest, 2),
            "first": dict(sorted(self.first.items())),
        }


class _Late(BaseException):
    """Not an Exception: nothing may take it for damage."""


@contextmanager
def _limit() -> Iterator[None]:
    def late(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
