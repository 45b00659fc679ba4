"""What the page shows and does: one review session behind a lock, for all tabs and people at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from adrefine import manifest, paths
from adrefine.errors import UserError
from adrefine.review import Answer, verdicts
from adrefine.review_page import listing
from adrefine.review_page.album import Album
from adrefine.review_page.answers import Answers, Change
from adrefine.review_page.cards import Cards
from adrefine.review_page.follower import Follower
from adrefine.review_page.listing import Now, Photos
from adrefine.reviewing.project import Review, sentence
from adrefine.reviewing.session import AGAIN, Asked

AHEAD = 8  # photos that a tab has ready
MOST = 120  # photos of the grid at once
WAIT = 0.1  # seconds that a look at the next photos waits for the ranking to follow; then it is of before


class Room:
    """The project's photos and answers.

    Args:
        reviewer: written beside each answer, with the time; empty: neither is.
    """

    def __init__(self, review: Review, reviewer: str = "") -> None:
        self.reviewer, self.answers = reviewer, Answers()
        self.lock = threading.RLock()
        self.follower = Follower(self.lock)
        self.foreseeing = threading.Lock()
        self.laying = threading.Lock()
        self.edition = 0  # counts the runs that this page has seen, and its start
        self.laid: tuple[object, np.ndarray, str] = (None, np.empty((0, 2)), "")  # until somebody asks for it
        self.leaving: tuple[object, frozenset[str] | None] = (None, frozenset())
        self._enter(review)

    def reload(self) -> None:
        """After a run: what it decided, and a session on the photos as they are now."""
        fresh = Review.of_project({})  # the answers follow
        with self.lock:
            self._enter(fresh)

    def _enter(self, review: Review) -> None:
        self.review = review
        evidence = review.session.photos.evidence
        file = paths.REFINED / paths.MANIFEST
        decided = manifest.read(file) if file.exists() else None
        self.photos = Photos.of(review.noisy, decided, [*evidence.ids, *evidence.held])
        self.trained = len(evidence.ids)
        self.album = Album.of(review, self.photos.rows)
        self.lists = {
            "duplicates": listing.duplicates(self.photos),
            "quarantined": listing.quarantined(),
        }
        self.cards = Cards(review, self.photos)
        self.edition += 1
        self.leaving = (None, frozenset())
        self._follow()

    def news(self, tab: str, since: int) -> dict[str, Any]:
        """The number of the last change, and what others than `tab` did after number `since`.

        Raises:
            UserError: data/review.csv cannot be read; says why.
        """
        with self.lock:
            self._refresh()
            others = [self._said(one, tab) for one in self.answers.since(since, tab)]
            return {**self._counts(), "others": others}

    def state(self, count: int = AHEAD) -> dict[str, Any]:
        """The next photos, and what the answers tell; `behind`: answers that the ranking does not know yet.

        Raises:
            UserError: data/review.csv cannot be read; says why.
        """
        with self.lock:
            self._refresh()
        self.follower.settle(WAIT)
        with self.lock:
            session = self.review.session
            told, now = session.estimate(), self._now()
            return {
                **self._counts(),
                "behind": len(session.behind()),
                "next": [self.cards.of_training(asked, now) for asked in session.next(count)],
                "estimate": sentence(told),
                "enough": session.enough() or "",
                "answered": told.answered,
                "photos": told.photos,
            }

    def answer(self, tab: str, ids: Sequence[str], verdict: str, note: str | None, asked: str = "") -> int:
        """Take one answer on photos; how many it changed.

        Args:
            note: None: the note that is there stays. asked: how the page came to show it, as its card says.

        Raises:
            UserError: there is no such photo; the file cannot be read or written.
        """
        with self.lock:
            self._refresh()
            wanted = {image_id: self._worded(image_id, verdict, note, asked) for image_id in ids}
            done = self.answers.give(tab, wanted)
            self._follow()
            return len(done)

    def undo(self, tab: str) -> dict[str, Any]:
        """Take back what the tab did last; which photos, and which of them others have answered since."""
        with self.lock:
            self._refresh()
            done, lost = self.answers.undo(tab)
            self._follow()
            return {
                "photos": [self.card(one.image_id) for one in done[:1]],
                "count": len(done),
                "lost": [self._name(one.image_id) for one in lost],
            }

    def card(self, image_id: str) -> dict[str, Any]:
        """All that is shown of a photo.

        Raises:
            UserError: there is no such photo.
        """
        with self.lock:
            row, session, now = self._row(image_id), self.review.session, self._now()
            if row >= self.trained:
                return self.cards.of_held_out(row, now)
            asked = Asked(image_id, float(session.photos.strength[row]), float(session.belief().fitted[row]))
            return self.cards.of_training(asked, now)

    def grid(self, show: str, sort: str, start: int, count: int) -> dict[str, Any]:
        """A part of the photos that the filter `show` leaves, and how many each filter has."""
        with self.lock:
            self._refresh()
            now = self._now()
            masks = listing.filters(self.photos, now)
            counts = {name: int(mask.sum()) for name, mask in masks.items()}
            counts |= {name: len(rows) for name, rows in self.lists.items()}
            if show not in counts or sort not in listing.SORTS:
                raise UserError(f"no filter {show!r} sorted by {sort!r}")
            until = max(start, 0) + min(max(count, 1), MOST)
            if show in self.lists:
                cells = self.lists[show][max(start, 0) : until]
            else:
                rows = listing.ordered(self.photos, now, np.flatnonzero(masks[show]), sort)
                cells = [listing.cell(self.photos, now, int(row)) for row in rows[max(start, 0) : until]]
            return {"counts": counts, "total": counts[show], "start": max(start, 0), "cells": cells}

    def some(self, ids: Sequence[str], start: int, count: int) -> dict[str, Any]:
        """As `grid`, of these photos, the most suspicious first."""
        with self.lock:
            now = self._now()
            rows = np.array([self._row(name) for name in dict.fromkeys(ids)], dtype=int)
            order = listing.ordered(self.photos, now, rows, "suspicious")[max(start, 0) :]
            cells = [listing.cell(self.photos, now, int(row)) for row in order[: min(max(count, 1), MOST)]]
            return {"total": len(rows), "start": max(start, 0), "cells": cells}

    def scatter(self) -> dict[str, Any]:
        """Where each training photo lies beside those that look like it, and what became of it."""
        ids, at, axes = self._plane()
        with self.lock:
            answers = self._now().answers
            kept = dict(zip(self.photos.ids, self.photos.kept, strict=True))
        states = [
            answers[name].verdict if name in answers else "removed" if kept.get(name) == 0 else ""
            for name in ids
        ]
        return {"ids": ids, "at": at.tolist(), "axes": axes, "states": states}

    def _plane(self) -> tuple[list[str], np.ndarray, str]:
        """Ids, points and axes; made once for the photos as they are, while answers go on."""
        with self.laying:
            with self.lock:
                similar, ids = self.cards.similar, list(self.photos.ids[: self.trained])
            if self.laid[0] is not similar:
                at, axes = similar.plane()
                self.laid = (similar, at.round(4), axes)
            return ids, self.laid[1], self.laid[2]

    def foreseen(self) -> dict[str, Any]:
        """What the next `dvc repro` leaves out; None where only the detector can say."""
        with self.foreseeing:
            with self.lock:
                review, key = self.review, (self.edition, tuple(self.answers.given.items()))
                given = verdicts(self.answers.given)
            if self.leaving[0] != key:
                self.leaving = (key, review.gone(given))
            gone = self.leaving[1]
        with self.lock:
            removed = {
                name for name, kept in zip(self.photos.ids, self.photos.kept, strict=True) if kept == 0
            }
            by_you = given.remove & set(self.photos.ids[: self.trained])
        if gone is None:
            return {"leaves": None, "by_you": len(by_you), "strategy": review.settings.refine.strategy}
        return {
            "leaves": len(gone),
            "of": self.trained,
            "by_you": len(by_you),
            "new": len(gone - removed),
            "back": len(removed - gone),
        }

    def names(self) -> dict[str, str]:
        """Ids of the photos by their names."""
        photos = self.photos
        return dict(zip(photos.names, photos.ids, strict=True))

    def picture(self, kind: str, image_id: str) -> tuple[bytes | Path, str] | None:
        """As of `Album.picture`; waits for nobody."""
        return self.album.picture(kind, image_id)

    def _counts(self) -> dict[str, int]:
        """What tells a page that it shows old things: the last change, the ranking's steps, the last run."""
        number, ranked = len(self.answers.changes), self.follower.steps
        return {"number": number, "ranked": ranked, "edition": self.edition}

    def _refresh(self) -> None:
        if self.answers.refresh():
            self._follow()

    def _follow(self) -> None:
        """The session knows the answers at once, its ranking as soon as it can."""
        self.review.session.note(self.answers.given)
        self.follower.follow(self.review.session)

    def _now(self) -> Now:
        session = self.review.session
        held = np.asarray(session.photos.evidence.held_strength, float)
        nothing = np.full(len(held), np.nan)
        gone = self.leaving[1] or frozenset()
        return Now(
            np.concatenate([session.photos.strength, held]),
            np.concatenate([session.belief().fitted, nothing]),
            self.answers.given,
            gone,
            session.photos.evidence.variants,
        )

    def _worded(self, image_id: str, verdict: str, note: str | None, asked: str) -> Answer:
        """The answer as the file is to have it."""
        row, session = self._row(image_id), self.review.session
        before = self.answers.given.get(image_id)
        if row < self.trained:
            drawn = Answer(verdict, asked=asked).drawn()
            answer = session.worded(Asked(image_id, 0.0, 0.0, drawn, AGAIN in asked), verdict)
        else:
            answer = Answer(verdict, before.note if before else "")
        if note is not None:
            answer = replace(answer, note=" ".join(note.split()))
        if self.reviewer:
            when = datetime.now(UTC).isoformat(timespec="seconds")
            answer = replace(answer, reviewer=self.reviewer, time=when)
        return answer

    def _said(self, change: Change, tab: str) -> dict[str, Any]:
        """A change by another tab or program, for `tab`."""
        return {
            "id": change.image_id,
            "name": self._name(change.image_id),
            "was": change.before.verdict if change.before else "",
            "now": change.now.verdict if change.now else "",
            "lost": change.loser == tab,
            "by": (change.now.reviewer if change.now else "") or "another tab or person",
        }

    def _row(self, image_id: str) -> int:
        if image_id not in self.photos.rows:
            raise UserError(f"no training or held-out photo has the id {image_id!r}")
        return self.photos.rows[image_id]

    def _name(self, image_id: str) -> str:
        row = self.photos.rows.get(image_id)
        return image_id if row is None else self.photos.names[row]
