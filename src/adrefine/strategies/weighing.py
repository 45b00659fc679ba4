"""refine.mode weigh: what the rule is sure of goes, and every other suspicious photo counts for less.

A photo that stands out by `centre` robust deviations weighs a half: by many where hardly any photo is thought
to hide, by fewer the more do. The weights are computed `ROUNDS` times; after the first time the models that
say how far photos stand out are weighted themselves. `python -m benchmarks.products.weigh`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from adrefine.detectors.base import Detector, Images
from adrefine.places.evidence import robust
from adrefine.places.models import learn
from adrefine.places.out_of_fold import Array, Asked, Flags
from adrefine.places.sharded import Store
from adrefine.places.voters import earned, together, voters_of
from adrefine.review import Verdicts
from adrefine.runtime.seeds import drawn
from adrefine.strategies import engine
from adrefine.strategies.base import Removal
from adrefine.strategies.share import answered_share, multiple

if TYPE_CHECKING:
    from adrefine.params import Refine
    from adrefine.places.evidence import Evidence

FARTHEST, NEAREST = 3.0, 1.5  # robust deviations at which a photo weighs a half: where none hides, at least
PER_SHARE = 10.0  # how much nearer for each unit of the estimated share of hidden defects
UNKNOWN = 2.5  # where nobody can tell that share
WIDTH = 0.5
ROUNDS = 3
HALF = 0.5  # weight under which a photo is said to count for less


def weigh(
    store: Store,
    images: Images,
    gathered: Evidence,
    verdicts: Verdicts,
    params: Refine,
    out: frozenset[str] = frozenset(),
) -> list[pd.DataFrame]:
    """How far each training photo stands out, in multiples of the centre (`times`), and its weight, by id, in
    every round.

    What a human removed weighs 0, what they keep 1, and what may be a rare but good variant, too. At least
    `min_keep` of the photos weigh a half or more.
    What the rule takes weighs 0 in the end; until then as much as the others say.

    Args:
        gathered: the evidence where all photos weigh the same.
        out: what the rule takes.
    """
    known, cleared = gathered.among(verdicts.remove), gathered.among(verdicts.keep | gathered.variants)
    floor, strength, weights = engine.fewest(params, images), gathered.strength, np.ones(len(images))
    half, rounds = centre(gathered, known, gathered.among(verdicts.keep)), []
    for number in range(ROUNDS):
        if number:
            strength = _strength(store, images, gathered, weights, ~known, params.seed)
        weights = 1 / (1 + np.exp(np.clip((strength - half) / WIDTH, -50, 50)))
        weights = np.where(known, 0.0, np.where(cleared, 1.0, weights))
        stay = np.argsort(-weights, kind="stable")[:floor]
        weights[stay] = np.where(known[stay], 0.0, np.maximum(weights[stay], HALF))
        said = np.where(gathered.among(out), 0.0, weights)
        times = multiple(strength, half)
        rounds.append(pd.DataFrame({"times": times, "weight": said}, index=list(images.ids)))
    return rounds


def centre(gathered: Evidence, known: Flags, cleared: Flags) -> float:
    """Robust deviations at which a photo weighs a half, by the share that still hides as far as can be told.

    Args:
        known, cleared: (n,) photos that a human removed, and kept.
    """
    share = answered_share(gathered, known, cleared)
    if share is None:
        return UNKNOWN
    left = max(share.estimate - float(known.mean()), 0.0)
    return max(FARTHEST - PER_SHARE * left, NEAREST)


def refine(
    model: Detector,
    images: Images,
    rounds: list[pd.DataFrame],
    params: Refine,
    after_round: Callable[[int, Detector], None],
    verdicts: Verdicts,
) -> engine.Outcome:
    """Let `model`, trained on all of `images`, learn them anew by the weights of the last round.

    Args:
        after_round: see `engine.refine`: called with 0 and the initial model, and with the last round.

    Returns:
        As `engine.refine`; its tables have the column `weight`, and what weighs nothing is `removed`.
    """
    start = engine.start(images, verdicts)
    if len(start) < len(images):
        model.fit(start)
    after_round(0, model)
    tables = [engine.by_hand(images.only(verdicts.remove)).assign(weight=0.0)]
    for number, rows in enumerate(rounds, 1):
        left = rows.loc[list(start.ids)]
        under = Removal(tuple(left.index[left["weight"] == 0]), 1.0)
        record = engine.record(number, left["times"], under, verdicts)
        tables.append(record.assign(weight=left["weight"].reindex(record["image_id"]).to_numpy()))
    _learn(model, images, {str(name): float(w) for name, w in rounds[-1]["weight"].items()}, params.seed)
    after_round(len(rounds), model)
    history = pd.concat([rows for rows in tables if len(rows)], ignore_index=True)
    summary = engine.summary(images, history, verdicts)
    light = count_light(rounds[-1]["weight"])
    summary["weight"] = rounds[-1]["weight"].reindex(summary["image_id"]).to_numpy()
    stop = f"the weights were fitted {len(rounds)} times, {light} more count for less than half"
    return engine.Outcome(summary, history, stop, len(rounds))


def count_light(weights: pd.Series) -> int:
    """How many photos stay, and count for less than half."""
    return int(((weights > 0) & (weights < HALF)).sum())


def versions(rows: pd.DataFrame, history: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """The training rows that weigh anything after each round, with their `weight`; in round 0 all weigh 1."""
    confirmed = set(history.loc[history["round"] == 0, "image_id"])
    start = rows[~rows["image_id"].isin(confirmed)]
    tables = {0: start.assign(weight=1.0)}
    for number, part in history[history["round"] > 0].groupby("round"):
        weights = part.set_index("image_id")["weight"]
        weighed = start.assign(weight=start["image_id"].map(weights))
        tables[int(str(number))] = weighed[weighed["weight"] > 0]
    return tables


def _learn(model: Detector, images: Images, weights: Mapping[str, float], seed: int) -> None:
    """A cold fit by the weights: exact where the detector weighs, otherwise of photos drawn by them."""
    weighted = images.weighing(weights)
    if not model.weighs:
        sample = weighted.only(i for i in weighted.ids if drawn(weights[i], "weigh", seed, i))
        weighted = images.only(sample.ids if len(sample) > 1 else weighted.ids)
    model.fit(weighted)


def _strength(
    store: Store, images: Images, gathered: Evidence, weights: Array, good: Flags, seed: int
) -> Array:
    """How far photos (n,) stand out from models in which they weigh so, by the places and as a whole; the
    voters' units stay.

    A photo that weighs little stands out to its own model by that alone: with all voters clean sets lose
    more.
    """
    models = learn(store, images.ids, good, seed, parts=images.parts, weights=weights, more=False)
    asked, both = Asked(images.ids, None, ()), gathered.voters[:2]
    now = [voter.photos for voter in voters_of(models, asked, models.distances(asked), good)]
    photos = together(both, earned(both), now)
    middle, unit = robust(photos[good])
    return (photos - middle) / unit
