"""What a minute of a person is worth: a simulated one answers a live review on real products.

    python -m benchmarks.review --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill

100 training photos, hidden share 0 to .3, no overlap. Answers are given one by one, by fives and all at once;
photos come from a live review, with one in `EVERY` drawn, from the detector's own ranking (PaDiM's scores in
sample), or at random; in `slips` 5 % of the answers are wrong. What is confirmed goes, and what the rule of
`consensus` makes of the answers; weighed (the default of padim) the other suspicious photos count for less,
too. AUROC is that of a Gaussian at every place and one of the pooled vector
together, on the other photos. Which share of the photos is drawn is chosen with the product left out: the
most that costs less than `PRICE` of the gap. Writes results/review.csv, review.md and review.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from adrefine.detectors.base import Images
from adrefine.io import write_bytes, write_csv, write_text
from adrefine.params import Refine
from adrefine.places import evidence, models, voters
from adrefine.places.sharded import Read
from adrefine.places.sums import Sums, photo_scores
from adrefine.review import KEEP, REMOVE, Verdicts
from adrefine.reviewing import session as live
from adrefine.reviewing.belief import Belief
from adrefine.reviewing.ranking import Ranking
from adrefine.reviewing.session import Asked, Session
from adrefine.runtime.seeds import derived_seed
from adrefine.strategies import share, weighing
from benchmarks import common
from benchmarks.products import cases
from benchmarks.products.cases import Case
from benchmarks.review_report import draw, report

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)
ANSWERS = (0, 5, 10, 20, 40)
WRONG = 0.05  # of the answers of the policy `slips`
NEVER = 10**9
WEIGHED = ("one by one", "slips")  # policies that are measured with weights, too
Chooser = Callable[[Session, int], list[Asked]]  # the next photos, given how many were answered


def main() -> None:
    """Run every product, level, seed and policy; write the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    rows = [row for given in args.product for row in of_product(given, args.photos, args.seeds)]
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "review.csv", runs)
    write_text(common.RESULTS / "review.md", report(runs))
    write_bytes(common.RESULTS / "review.png", draw(runs))


def of_product(given: str, photos: int, seeds: Sequence[int]) -> Iterator[dict[str, object]]:
    """Rows of every training set of one product that can be made."""
    for one in cases.of_product(given, [photos], LEVELS, seeds):
        ranking = Ranking(one.store, one.found.ids, seed=one.seed)
        for policy, (every, choose, wrong) in policies(one).items():
            with patch.object(live, "EVERY", every):
                session = Session(deepcopy(ranking), seed=one.seed)
                yield from answered(one, session, policy, choose, wrong)


def policies(one: Case) -> dict[str, tuple[int, Chooser, float]]:
    """By name: of how many photos one is drawn, what is asked next, and the share of wrong answers."""
    rng = np.random.default_rng(derived_seed("asked at random", one.seed))
    alone = np.argsort(-in_sample(one), kind="stable")
    return {
        "one by one": (live.EVERY, lambda session, _: session.next(), 0.0),
        "by fives": (live.EVERY, lambda session, _: session.next(5), 0.0),
        "at once": (live.EVERY, lambda session, _: session.next(ANSWERS[-1]), 0.0),
        "none drawn": (NEVER, lambda session, _: session.next(), 0.0),
        "one in 5 drawn": (5, lambda session, _: session.next(), 0.0),
        "one in 3 drawn": (3, lambda session, _: session.next(), 0.0),
        "slips": (live.EVERY, lambda session, _: session.next(), WRONG),
        "detector alone": (NEVER, partial(in_order, one, alone), 0.0),
        "at random": (NEVER, partial(in_order, one, rng.permutation(len(one.hidden))), 0.0),
    }


def in_order(one: Case, order: np.ndarray, session: Session, answered: int) -> list[Asked]:
    """The photo that comes next in a fixed order of places."""
    return [Asked(one.found.ids[order[answered]], 0.0, 0.0)]


def in_sample(one: Case) -> np.ndarray:
    """PaDiM's scores (n,) of the photos that it has learned."""
    parts = (
        (Read(one.store), models.PLACES_SHRINKAGE),
        (Read(one.store, whole=True), models.POOLED_SHRINKAGE),
    )
    scores = []
    for read, shrinkage in parts:
        maps = read(one.found.ids)
        scores.append(photo_scores(Sums.of(maps).model(shrinkage).distances(maps), voters.TOP))
    both = one.found.voters[:2]
    return voters.together(both, voters.earned(both), scores)


def answered(
    one: Case, session: Session, policy: str, choose: Chooser, wrong: float
) -> Iterator[dict[str, object]]:
    """A row for each number of ANSWERS."""
    return (row(one, session, policy, given) for given, _ in answers_of(one, session, choose, wrong, ANSWERS))


def answers_of(
    one: Case, session: Session, choose: Chooser, wrong: float, stops: Sequence[int]
) -> Iterator[tuple[int, Session]]:
    """The session after each number of answers in `stops`, ascending; so many of them are wrong."""
    rng = np.random.default_rng(derived_seed("slips", one.seed))
    given = 0
    if given in stops:
        yield given, session
    while given < stops[-1]:
        for asked in choose(session, given):
            defect = bool(one.hidden[session.place[asked.image_id]]) != (rng.random() < wrong)
            session.answer(asked, REMOVE if defect else KEEP)
            given += 1
            if given in stops:
                yield given, session


def left_out(one: Case, session: Session) -> tuple[np.ndarray, np.ndarray, Belief]:
    """Places of the photos that go, those of them that the rule takes, and what the answers told."""
    belief = session.belief()
    gathered = replace(one.found, strength=session.photos.strength)
    count = share.number(gathered, belief.open, belief.defect, None, belief.good)
    order = np.argsort(-np.where(belief.open, gathered.strength, -np.inf), kind="stable")
    return np.concatenate([np.flatnonzero(belief.defect), order[:count]]), order[:count], belief


def row(one: Case, session: Session, policy: str, answers: int) -> dict[str, object]:
    """What has come of the answers so far."""
    told, (out, taken, belief) = session.estimate(), left_out(one, session)
    before = one.without(np.array([], int))
    oracle = one.without(np.flatnonzero(one.hidden)) if one.hidden.any() else before
    left, hides = int(one.hidden[belief.open].sum()), told.hidden
    nobody = float("nan")  # where nobody can tell what hides
    return {
        "product": one.product, "photos": one.photos, "level": one.level, "seed": one.seed,
        "policy": policy, "answers": answers, "hidden": int(one.hidden.sum()), "auroc": before,
        "gain": one.without(out) - before, "gap": oracle - before,
        "weighed": _weighed(one, belief, taken) - before if policy in WEIGHED else float("nan"),
        "confirmed": int(one.hidden[belief.defect].sum()), "removed": len(out),
        "good_lost": int((~one.hidden[out]).sum()), "left": left,
        "expected": hides.expected if hides else nobody, "low": hides.low if hides else nobody,
        "high": hides.high if hides else nobody,
        "covered": float(hides.low <= left <= hides.high) if hides else nobody,
        "unbiased": told.unbiased, "enough": float(session.enough() is not None),
    }  # fmt: skip


def _weighed(one: Case, belief: Belief, taken: np.ndarray) -> float:
    """AUROC where the rule's photos weigh nothing, as the confirmed ones, and other suspicious ones less."""
    ids = np.array(one.found.ids)
    told = Verdicts(keep=frozenset(ids[belief.good]), remove=frozenset(ids[belief.defect]))
    gathered = evidence.gather(one.store, one.found.ids, seed=one.seed, known=told.remove)
    images, settings = Images(one.found.ids, Path()), Refine(seed=one.seed)
    rounds = weighing.weigh(one.store, images, gathered, told, settings, frozenset(ids[taken]))
    return one.weighted(rounds[-1]["weight"].to_numpy())


if __name__ == "__main__":
    main()
