"""`adrefine review --next`: one photo after the other, one key each; the ranking follows every answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adrefine import params, paths
from adrefine.cli.keys import Keys
from adrefine.cli.output import print_json
from adrefine.errors import UserError
from adrefine.review import KEEP, REMOVE, UNSURE, changing, read, verdicts

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.reviewing.session import Asked, Estimate, Session

_VERDICTS = {"k": KEEP, "r": REMOVE, "u": UNSURE}
_UNDO, _QUIT = "z", "q"
_SHOWN = 5  # held-out photos
_KEYS = "k keep  r remove  u unsure  z undo  q quit"


def ask(count: int, as_json: bool) -> None:
    """Ask photo after photo until the person quits; or print the next `count` as JSON.

    Raises:
        UserError: there are no maps of the training photos yet.
    """
    review = Review.of_project()
    if as_json:
        print_json(review.told(max(count, 1)))
        return
    with Keys(sys.stdin) as keys:
        while asked := review.session.next():
            review.show(asked[0])
            key = keys.one_of([*_VERDICTS, _UNDO, _QUIT], f"    {_KEYS} > ")
            if key == _QUIT:
                break
            review.take(asked[0], key)
    print("\n".join(review.leaves()))


@dataclass
class Review:
    """A session on the project's training photos, and where its answers go."""

    settings: params.Params
    noisy: pd.DataFrame
    session: Session

    @classmethod
    def of_project(cls) -> Review:
        """The session that data/review.csv leads to."""
        from adrefine import manifest
        from adrefine.places.evidence import FEWEST
        from adrefine.places.store import open_places
        from adrefine.reviewing.ranking import Ranking
        from adrefine.reviewing.session import Session
        from adrefine.strategies.refinement import training_images

        settings, noisy = params.load(), manifest.read(paths.NOISY / paths.MANIFEST)
        images, held = training_images(noisy, paths.PREPARED)
        if len(images) < FEWEST:
            raise UserError(f"a review ranks {FEWEST} training photos or more, there are {len(images)}")
        store = open_places(paths.PREPARED / paths.PLACES)
        ranking = Ranking(store, images.ids, held, seed=settings.refine.seed, parts=images.parts)
        return cls(settings, noisy, Session(ranking, read(paths.REVIEW), settings.refine.seed))

    @cached_property
    def files(self) -> dict[str, str]:
        """Path of each photo."""
        return dict(zip(self.noisy["image_id"], self.noisy["path"], strict=True))

    @cached_property
    def limit(self) -> float:
        """Strength over which a photo stands out."""
        from adrefine.strategies.share import limit

        return limit(self.session.photos.evidence)

    def show(self, asked: Asked) -> None:
        """Path, score, limit, reason, picture."""
        found = self.cells(asked)
        print(f"\n{len(self.session.answers) + 1}. {found['path']}")
        print(
            f"    score {asked.strength:.1f}, limit {self.limit:.1f}, {found['reason']}; defective with "
            f"chance {asked.chance:.0%}" + (f" ({found['why']})" if found["why"] else "")
        )
        print(f"    photo and map: {found['picture']}", flush=True)

    def cells(self, asked: Asked) -> dict[str, Any]:
        """What there is to say of a photo."""
        row, column = self.session.photos.cell(self.session.place[asked.image_id])
        again = self.session.answers.get(asked.image_id)
        why = "drawn, to tell what hides elsewhere" if asked.drawn is not None else ""
        why = f"again: you said {again.verdict}, the others speak against it" if again else why
        return {
            "image_id": asked.image_id,
            "path": self.files[asked.image_id],
            "score": round(asked.strength, 4),
            "limit": round(self.limit, 4),
            "chance": round(asked.chance, 4),
            "reason": f"oddest at row {row + 1}, column {column + 1}",
            "asked": asked.asked,
            "why": why,
            "picture": str(self.picture(asked.image_id)),
        }

    def picture(self, image_id: str) -> Path:
        """File with the photo beside its map."""
        from adrefine.reviewing.picture import save

        place, path = self.session.place[image_id], paths.side_cache("review") / f"{image_id}.png"
        return save(Path(self.files[image_id]), self.session.photos.map(place), path)

    def take(self, asked: Asked, key: str) -> None:
        """An answer, or the last one back; data/review.csv has it at once."""
        if key == _UNDO:
            image_id = self.session.undo()
            print("    nothing to undo" if image_id is None else f"    taken back: {self.files[image_id]}")
        else:
            image_id = asked.image_id
            self.session.answer(asked, _VERDICTS[key])
        if image_id is not None:
            with changing(paths.REVIEW) as answers:
                if image_id in self.session.answers:
                    answers[image_id] = self.session.answers[image_id]
                else:
                    answers.pop(image_id, None)
        told, enough = self.session.estimate(), self.session.enough()
        print(f"    {sentence(told)}" + (f". Enough: {enough}" if enough else ""))

    def told(self, count: int) -> dict[str, Any]:
        """The next photos, the estimate and what would go, for other programs."""
        from dataclasses import asdict

        return {
            "next": [self.cells(asked) for asked in self.session.next(count)],
            "estimate": asdict(self.session.estimate()),
            "enough": self.session.enough(),
            "held_out": self.held_out(),
            "removed": None if (gone := self.gone()) is None else sorted(gone),
        }

    def gone(self) -> frozenset[str] | None:
        """What the next `dvc repro` leaves out; None where it takes the detector to say."""
        from adrefine.strategies.refinement import foreseen

        given = verdicts(read(paths.REVIEW))
        return foreseen(self.settings, self.noisy, paths.PREPARED, given)

    def held_out(self) -> list[dict[str, Any]]:
        """Unlabelled held-out photos without an answer that stand out, the strongest first."""
        from adrefine.manifest import UNKNOWN

        found, answers = self.session.photos.evidence, read(paths.REVIEW)
        unlabelled = set(self.noisy.loc[self.noisy["label"] == UNKNOWN, "image_id"]) - set(answers)
        rows = [
            {"image_id": name, "path": self.files[name], "score": round(float(strength), 4)}
            for name, strength in zip(found.held, found.held_strength, strict=True)
            if strength > self.limit and name in unlabelled
        ]
        return sorted(rows, key=lambda row: (-row["score"], row["image_id"]))

    def leaves(self) -> list[str]:
        """How the review ends."""
        gone, by_you = self.gone(), verdicts(self.session.answers).remove
        lines = [sentence(self.session.estimate()) + "."]
        if gone is None:
            lines.append(
                f"`dvc repro` leaves out {len(by_you)} photos that you removed, and what "
                f"{self.settings.refine.strategy} removes."
            )
        else:
            lines.append(
                f"`dvc repro` leaves out {len(gone)} of {len(self.session.place)} photos: {len(by_you)} "
                f"that you removed, {len(gone - by_you)} by what the answers and the photos tell."
            )
        if held := self.held_out():
            names = ", ".join(row["path"] for row in held[:_SHOWN]) + ", ..." * (len(held) > _SHOWN)
            lines.append(
                f"{len(held)} unlabelled held-out photos stand out, too, by models that did not see them: "
                f"{names}. They set the alarm threshold unless you say "
                f"`adrefine review {held[0]['image_id']} remove`."
            )
        return [*lines, f"Answers are in {paths.REVIEW}."]


def sentence(told: Estimate) -> str:
    """The estimate in words."""
    hid, now, then = (told.found + told.hidden.expected) / told.photos, told.hidden, told.after
    return (
        f"about {hid:.0%} hid, {told.found} went, {_between(now.low, now.high)} still hide; "
        f"{told.more} more answers: {_between(then.low, then.high)}"
    )


def _between(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"
