"""`adrefine review`: the photos that a human should look at first, and their answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adrefine import paths
from adrefine.cli.output import add_json, print_json
from adrefine.errors import UserError
from adrefine.review import ASKED, VERDICTS, Answer, changing, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from adrefine.places.votes import Votes

_SHOWN = 12  # of the queue


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "review",
        help="list the photos that a human should look at first, or answer for one of them",
        description="Without arguments: the photos of which the last run was least sure, worst first. "
        "With a photo and a verdict: your answer, which goes to data/review.csv and overrides every strategy "
        "from the next `dvc repro` on. A new answer replaces an old one; to withdraw one, delete its line. "
        "With --next: one photo after the other, ranked anew after each answer, until little hides. "
        "With --open: the same as a page in a browser, with all photos in a grid.",
        epilog='Example: adrefine review 3fa2b1c0 remove --note "scratch at the rim" && dvc repro',
    )
    parser.add_argument("image_id", nargs="?", help="the photo: its id, or the beginning of it")
    parser.add_argument(
        "verdict",
        nargs="?",
        type=str.lower,
        choices=VERDICTS,
        help="keep: it is good and never removed; remove: it is defective and never learned from; unsure: "
        "it is not asked for again, and the strategy decides",
    )
    parser.add_argument("--note", default="", help="why, in your words; the report shows it")
    parser.add_argument(
        "--next",
        nargs="?",
        type=int,
        const=1,
        metavar="N",
        help="ask about photos, one key each; with --json: print the next N and the estimate, ask nothing",
    )
    parser.add_argument(
        "--asked", default="", help="for programs: how the photo was chosen, from the output of --next --json"
    )
    parser.add_argument(
        "--tags",
        type=Path,
        metavar="SAMPLES.JSON",
        help="take the tags keep, remove and unsure of FiftyOne's export as answers (see `adrefine list`)",
    )
    parser.add_argument("--open", action="store_true", help="look and answer on a page in the browser")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="with --open: address to listen at; default: %(default)s, this machine",
    )
    parser.add_argument("--port", type=int, default=0, help="with --open: default: a free one")
    parser.add_argument(
        "--reviewer", default="", help="with --open: your name, written beside each answer with the time"
    )
    add_json(parser)
    parser.set_defaults(run=review)


def review(chosen: argparse.Namespace) -> None:
    """List the queue, or take an answer."""
    if chosen.image_id:
        answer(chosen)
        return
    if chosen.tags is not None:
        take_tags(chosen)
        return
    if chosen.open:
        from adrefine.review_page import serve

        serve.serve(chosen.host, chosen.port, " ".join(chosen.reviewer.split()))
        return
    if chosen.next is not None:
        from adrefine.cli import live

        live.ask(chosen.next, chosen.json)
        return
    from adrefine import manifest
    from adrefine.places import votes

    queue, answers = manifest.read(paths.REVIEW_QUEUE), read(paths.REVIEW)
    unanswered = queue[~queue["image_id"].isin(list(answers))]
    told = votes.read(paths.REFINED / paths.EVIDENCE)
    if chosen.json:
        _print_queue(unanswered, answers, told)
    else:
        _show_queue(unanswered, len(answers), told)


def answer(chosen: argparse.Namespace) -> None:
    """Add or change the answer for the training photo whose id begins with `image_id`."""
    if chosen.verdict is None:
        raise UserError(f"no answer was given for {chosen.image_id}: add keep, remove or unsure")
    if not ASKED.fullmatch(chosen.asked):
        raise UserError(f"--asked {chosen.asked!r}: give what `adrefine review --next --json` says")
    image_id = _training_photo(chosen.image_id.strip())
    with changing(paths.REVIEW) as answers:
        before = answers.get(image_id)
        answers[image_id] = Answer(chosen.verdict, " ".join(chosen.note.split()), asked=chosen.asked)
    if chosen.json:
        print_json({"image_id": image_id, **_cells(answers[image_id]), "was": before and _cells(before)})
        return
    was = f" (was: {' '.join([before.verdict, before.note]).strip()})" if before else ""
    print(f"{paths.REVIEW}: {chosen.verdict} {image_id}{was}. `dvc repro` applies it.")


def take_tags(chosen: argparse.Namespace) -> None:
    """Add the answers that were given as tags."""
    from adrefine.reviewing import tags

    told = tags.read(chosen.tags)
    with changing(paths.REVIEW) as answers:
        taken = tags.taken(told, answers, frozenset(_learned_from()))
        answers.update(taken.answers)
    counts = {name: getattr(taken, name) for name in ("new", "changed", "untagged", "unknown")}
    if chosen.json:
        print_json(counts)
        return
    print(f"{paths.REVIEW}: {taken.new} new answers, {taken.changed} changed. `dvc repro` applies them.")
    if taken.untagged:
        print(f"{taken.untagged} answered photos have no such tag there: their answers stay")
    if taken.unknown:
        print(f"{taken.unknown} photos there do not train: ignored")


def _show_queue(unanswered: pd.DataFrame, answered: int, told: Mapping[str, Votes]) -> None:
    """The first photos that have no answer yet, what the voters say of them, and how to answer."""
    print(f"{len(unanswered)} photos have no answer yet, {answered} have one. The most doubtful:")
    first = unanswered.head(_SHOWN)
    width = first["reason"].map(len).max()
    for row in first.itertuples():
        print(f"  {row.image_id}  {row.reason!s:{width}}  {row.path}")
        if says := told.get(str(row.image_id)):
            print(f"      {says.line()}")
    if len(first):
        name = first["image_id"].iloc[0]
        print(f"Look at a photo, then: adrefine review {name} keep")
        print(f'                   or: adrefine review {name} remove --note "what is wrong with it"')
    print("                one after the other: adrefine review --next")
    print(f"Answers are in {paths.REVIEW}; `dvc repro` applies them.")


def _print_queue(unanswered: pd.DataFrame, answers: dict[str, Answer], told: Mapping[str, Votes]) -> None:
    """All photos that have no answer yet, most doubtful first, with the voters' figures, and all answers."""
    import json

    queue = json.loads(unanswered.to_json(orient="records"))  # NaN is null there
    queue = [{**row, **(told[row["image_id"]].cells() if row["image_id"] in told else {})} for row in queue]
    print_json({"unanswered": queue, "answers": {name: _cells(one) for name, one in answers.items()}})


def _cells(one: Answer) -> dict[str, str]:
    return {"verdict": one.verdict, "note": one.note}


def _training_photo(beginning: str) -> str:
    """The one training photo, or held-out one, that has this id, or whose id begins so."""
    ids = _learned_from()
    fitting = [name for name in ids if name == beginning] or [
        name for name in ids if name.startswith(beginning)
    ]
    if not fitting:
        raise UserError(f"no training photo has an id that begins with {beginning!r}: see `adrefine review`")
    if len(fitting) > 1:
        raise UserError(
            f"{len(fitting)} training photos have an id that begins with {beginning!r}: give more of it"
        )
    return fitting[0]


def _learned_from() -> list[str]:
    """Ids of training photos and held-out ones, sorted."""
    from adrefine import manifest

    noisy = manifest.read(paths.NOISY / paths.MANIFEST)
    return sorted(noisy.loc[noisy["split"].isin(["train", "val"]), "image_id"])
