"""A live review of the project in this folder: its photos, its answers, and what is to be said of each.

The terminal (`adrefine review --next`) and the page (`adrefine review --open`) both show this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adrefine import params, paths
from adrefine.errors import UserError
from adrefine.review import Answer, Verdicts, read, verdicts
from adrefine.strategies.share import ANSWERED

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.places.votes import Votes
    from adrefine.reviewing.session import Asked, Estimate, Session


@dataclass
class Review:
    """A session on the project's training photos, and where its answers go."""

    settings: params.Params
    noisy: pd.DataFrame
    session: Session

    @classmethod
    def of_project(cls, answers: Mapping[str, Answer] | None = None) -> Review:
        """The session that these answers lead to; None: those of data/review.csv. With many photos a ranking
        takes a while to follow many answers."""
        from adrefine import manifest
        from adrefine.places.evidence import FEWEST
        from adrefine.places.store import open_places
        from adrefine.reviewing.ranking import Ranking
        from adrefine.reviewing.session import Session
        from adrefine.strategies.refinement import training_images

        settings, noisy = params.load(), manifest.read(paths.NOISY / paths.MANIFEST)
        images, held = training_images(noisy, paths.PREPARED)
        if len(images) < FEWEST:
            raise UserError(f"a review needs {FEWEST} training photos or more, there are {len(images)}")
        store = open_places(paths.PREPARED / paths.PLACES)
        given = read(paths.REVIEW) if answers is None else answers
        ranking = Ranking(store, images.ids, held, seed=settings.refine.seed, parts=images.parts)
        return cls(settings, noisy, Session(ranking, given, settings.refine.seed))

    @cached_property
    def files(self) -> dict[str, str]:
        """Path of each photo."""
        return dict(zip(self.noisy["image_id"], self.noisy["path"], strict=True))

    @cached_property
    def limit(self) -> float:
        """Strength over which a photo stands out."""
        from adrefine.strategies.share import limit

        return limit(self.session.photos.evidence)

    def cells(self, asked: Asked) -> dict[str, Any]:
        """What there is to say of a photo, and the file with its picture."""
        return {**self.facts(asked), "picture": str(self.picture(asked.image_id))}

    def facts(self, asked: Asked) -> dict[str, Any]:
        """What there is to say of a photo."""
        row, column = self.session.photos.cell(self.session.place[asked.image_id])
        return {
            "image_id": asked.image_id,
            "path": self.files[asked.image_id],
            "score": round(asked.strength, 4),
            "limit": round(self.limit, 4),
            "chance": round(asked.chance, 4),
            "reason": f"oddest at row {row + 1}, column {column + 1}",
            "asked": asked.asked,
            "why": self._why(asked),
        }

    def votes(self, asked: Asked) -> Votes:
        """What each voter says of a photo now."""
        return self.session.photos.votes(self.session.place[asked.image_id])

    def _why(self, asked: Asked) -> str:
        """Why the photo comes now, where it is not for its score."""
        before = self.session.answers.get(asked.image_id)
        if asked.again and before:
            twins = sorted(self.session.twins.get(asked.image_id, ()))
            against = f"but remove of {self.files[twins[0]]}, which is odd in the same way" if twins else ""
            return f"again: you said {before.verdict}, {against or 'the others speak against it'}"
        if asked.image_id in self.session.photos.evidence.variants:
            return "a variant? others look like it in most places"
        return "drawn, to tell what hides elsewhere" if asked.drawn is not None else ""

    def picture(self, image_id: str) -> Path:
        """File with the photo beside its map."""
        from adrefine.reviewing.picture import save

        place, path = self.session.place[image_id], paths.side_cache("review") / f"{image_id}.png"
        return save(Path(self.files[image_id]), self.session.photos.map(place), path)

    def told(self, count: int) -> dict[str, Any]:
        """The next photos, the estimate and what would go, for other programs."""
        from dataclasses import asdict

        asked = self.session.next(count)
        return {
            "next": [{**self.cells(one), **self.votes(one).cells()} for one in asked],
            "estimate": asdict(self.session.estimate()),
            "enough": self.session.enough(),
            "held_out": self.held_out(),
            "removed": None if (gone := self.gone()) is None else sorted(gone),
        }

    def gone(self, given: Verdicts | None = None) -> frozenset[str] | None:
        """What the next `dvc repro` leaves out, by the file's answers if no others are given; None where it
        takes the detector to say."""
        from adrefine.strategies.refinement import foreseen

        given = verdicts(read(paths.REVIEW)) if given is None else given
        return foreseen(self.settings, self.noisy, paths.PREPARED, given)

    def held_out(self) -> list[dict[str, Any]]:
        """Unlabelled held-out photos without an answer that stand out, the strongest first, as the next run
        sees them: without the defects confirmed so far."""
        from adrefine.manifest import UNKNOWN
        from adrefine.places import evidence
        from adrefine.strategies.refinement import training_images
        from adrefine.strategies.share import limit

        images, held = training_images(self.noisy, paths.PREPARED)
        answers = read(paths.REVIEW)
        found = evidence.of(images, held, verdicts(answers), self.settings.refine.seed)
        if found is None:
            return []
        unlabelled = set(self.noisy.loc[self.noisy["label"] == UNKNOWN, "image_id"]) - set(answers)
        rows = [
            {"image_id": name, "path": self.files[name], "score": round(float(strength), 4)}
            for name, strength in zip(found.held, found.held_strength, strict=True)
            if strength > limit(found) and name in unlabelled
        ]
        return sorted(rows, key=lambda row: (-row["score"], row["image_id"]))


def sentence(told: Estimate) -> str:
    """The estimate in words."""
    now, then = told.hidden, told.after
    if now is None:
        return f"{told.found} removed; how many hidden defects remain is unknown until you judge {ANSWERED}"
    hid = (told.found + now.expected) / told.photos
    said = f"about {hid:.0%} were hidden defects: {told.found} removed, {_between(now.low, now.high)} left"
    if then is None:
        return f"{said} (estimated from the photos alone)"
    return f"{said}; after {told.more} more answers: {_between(then.low, then.high)}"


def _between(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"
