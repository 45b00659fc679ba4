"""`adrefine review --next`: one photo after the other, one key each; the ranking follows every answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from adrefine import paths
from adrefine.cli.keys import Keys
from adrefine.cli.output import print_json
from adrefine.review import KEEP, REMOVE, UNSURE, changing, verdicts
from adrefine.reviewing.project import Review, sentence

if TYPE_CHECKING:
    from adrefine.reviewing.session import Asked

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
            show(review, asked[0])
            key = keys.one_of([*_VERDICTS, _UNDO, _QUIT], f"    {_KEYS} > ")
            if key == _QUIT:
                break
            take(review, asked[0], key)
    print("\n".join(leaves(review)))


def show(review: Review, asked: Asked) -> None:
    """Path, score, limit, reason, each voter, picture."""
    cells = review.cells(asked)
    chance = f"; {asked.chance:.0%} likely to be defective" if review.session.telling else ""
    why = f" ({cells['why']})" if cells["why"] else ""
    print(f"\n{len(review.session.answers) + 1}. {cells['path']}")
    print(f"    score {asked.strength:.1f}, limit {review.limit:.1f}, {cells['reason']}{chance}{why}")
    print(f"    {review.votes(asked).spoken()}")
    print(f"    photo and map: {cells['picture']}", flush=True)


def take(review: Review, asked: Asked, key: str) -> None:
    """An answer, or the last one back; data/review.csv has it at once."""
    if key == _UNDO:
        image_id = review.session.undo()
        print("    nothing to undo" if image_id is None else f"    taken back: {review.files[image_id]}")
    else:
        image_id = asked.image_id
        review.session.answer(asked, _VERDICTS[key])
    if image_id is not None:
        with changing(paths.REVIEW) as answers:
            if image_id in review.session.answers:
                answers[image_id] = review.session.answers[image_id]
            else:
                answers.pop(image_id, None)
    told, enough = review.session.estimate(), review.session.enough()
    print(f"    {sentence(told)}" + (f". Enough: {enough}" if enough else ""))


def leaves(review: Review) -> list[str]:
    """How the review ends."""
    gone, by_you = review.gone(), verdicts(review.session.answers).remove
    lines = [sentence(review.session.estimate()) + "."]
    if gone is None:
        lines.append(
            f"`dvc repro` leaves out {len(by_you)} photos that you removed, and those that "
            f"{review.settings.refine.strategy} removes."
        )
    else:
        lines.append(
            f"`dvc repro` leaves out {len(gone)} of {len(review.session.place)} photos: {len(by_you)} "
            f"that you removed, {len(gone - by_you)} judged defective from your answers and the photos."
        )
    if held := review.held_out():
        names = ", ".join(row["path"] for row in held[:_SHOWN]) + ", ..." * (len(held) > _SHOWN)
        lines.append(
            f"{len(held)} unlabelled held-out photos also look unusual, to models that did not see them: "
            f"{names}. They help to set the alarm threshold. If one is defective: "
            f"`adrefine review {held[0]['image_id']} remove`."
        )
    return [*lines, f"Answers are in {paths.REVIEW}."]
