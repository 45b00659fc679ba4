"""Answers that several tabs, people and programs give at once: none is lost, the last one of a photo holds,
and who gave another one before is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adrefine import paths
from adrefine.io import followed
from adrefine.review import Answer, changing, read
from adrefine.reviewing.session import same

FILE = "file"  # the tab of an answer that another program wrote
_Stamp = tuple[int, int, int] | None
_OUR_OWN: _Stamp = (-1, -1, -1)  # until the next look: another program may have written right after us


@dataclass(frozen=True)
class Change:
    """An answer that was given, changed or taken back.

    Attributes:
        number: counts from 1. tab: who did it. loser: the tab whose different answer it replaced, "" if none.
    """

    number: int
    tab: str
    image_id: str
    before: Answer | None
    now: Answer | None
    loser: str = ""


@dataclass
class Answers:
    """data/review.csv as this server knows it. Not for several threads at once: the caller holds a lock.

    Attributes:
        given: all answers of the file, in its order. changes: those since the start.
        mine: by tab, what it can still undo. owners: the tab that gave the present answer of a photo.
    """

    path: Path = paths.REVIEW
    given: dict[str, Answer] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    mine: dict[str, list[list[Change]]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    stamp: _Stamp = None

    def __post_init__(self) -> None:
        self.stamp, self.given = self._stamp(), read(self.path)

    def refresh(self) -> bool:
        """Read the file again if another program wrote it; whether it did.

        Raises:
            UserError: it is no file of answers.
        """
        stamp = self._stamp()
        if stamp == self.stamp:
            return False
        self._told(read(self.path), FILE)
        self.stamp = stamp
        return True

    def give(self, tab: str, wanted: Mapping[str, Answer | None]) -> list[Change]:
        """Write answers (None: take it back) that `tab` gives; what changed.

        Raises:
            UserError: the file cannot be read or written; nothing is taken.
        """
        with self._writing() as there:
            for image_id, answer in wanted.items():
                if answer is None:
                    there.pop(image_id, None)
                else:
                    there[image_id] = answer
        done = self._told(dict(there), tab)
        if done:
            self.mine.setdefault(tab, []).append(done)
        return done

    def undo(self, tab: str) -> tuple[list[Change], list[Change]]:
        """Take back what `tab` did last; what changed, and what did not, as others have answered since."""
        if not self.mine.get(tab):
            return [], []
        last = self.mine[tab].pop()
        with self._writing() as there:
            lost = [one for one in last if not same(there.get(one.image_id), one.now)]
            for one in last:
                if one in lost:
                    continue
                if one.before is None:
                    there.pop(one.image_id, None)
                else:
                    there[one.image_id] = one.before
        return self._told(dict(there), tab), lost

    def since(self, number: int, tab: str) -> list[Change]:
        """The changes after that number that others than `tab` made."""
        return [one for one in self.changes[max(number, 0) :] if one.tab != tab]

    @contextmanager
    def _writing(self) -> Iterator[dict[str, Answer]]:
        """The file's answers, to be changed, once what others wrote meanwhile is noted."""
        with changing(self.path) as there:
            self._told(dict(there), FILE)
            yield there
        self.stamp = _OUR_OWN

    def _told(self, there: dict[str, Answer], tab: str) -> list[Change]:
        """Note that the file now holds these answers, by what `tab` did."""
        done = []
        for image_id in self.given | there:
            before, now = self.given.get(image_id), there.get(image_id)
            if same(before, now):
                continue
            owner = self.owners.get(image_id, "")
            lost = (
                owner not in ("", tab) and before is not None and (not now or now.verdict != before.verdict)
            )
            done.append(
                Change(len(self.changes) + 1, tab, image_id, before, now, loser=owner if lost else "")
            )
            self.changes.append(done[-1])
            self.owners[image_id] = tab
        self.given = there
        return done

    def _stamp(self) -> _Stamp:
        try:
            status = os.stat(followed(self.path))
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
