"""The loop: why it stops, what it records, and that it never removes too much or twice."""

from __future__ import annotations

from math import ceil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.params import Refine
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.engine import Outcome, refine
from adrefine.strategies.irp import Irp, IterativeRefinement
from adrefine.strategies.osr import OneShotRemoval, Osr, RemovalUntilSize
from adrefine.strategies.scorers import InSample, Scorer
from adrefine.strategies.vanilla import Vanilla
from fakes import FakeDetector, image_set


class Scripted(Strategy):
    """Removes the worst n of each round, n read off a list; then nothing."""

    def __init__(self, *counts: int) -> None:
        self.counts = list(counts)

    def step(self, scores: pd.Series, floor: int) -> Removal:
        count = self.counts.pop(0) if self.counts else 0
        return Removal(tuple(scores.sort_values().index[::-1][:count]), 1.0)


def run(strategy: Strategy, count: int = 10, model: FakeDetector | None = None, **params) -> Outcome:
    model, images = model or FakeDetector(), image_set(count)
    return refine(model, images, strategy, InSample(), Refine(**params))


IRP = IterativeRefinement(Irp())


@pytest.mark.parametrize(
    ("strategy", "params", "reason", "rounds", "left"),
    [
        (Vanilla(), {}, "vanilla removes nothing", 0, 10),
        (Scripted(1, 2), {}, "converged: the set did not change", 2, 7),
        (Scripted(1, 1, 1), {"max_rounds": 2}, "refine.max_rounds = 2 reached", 2, 8),
        (Scripted(1), {"max_rounds": 0}, "refine.max_rounds = 0 reached", 0, 10),
        (Scripted(3, 3), {"min_keep": 0.5}, "refine.min_keep reached: 5 images must stay", 2, 5),
        (Scripted(5, 1), {"min_keep": 0.5}, "refine.min_keep reached: 5 images must stay", 1, 5),
        (Scripted(9), {"min_keep": 0.01}, "refine.min_keep reached: 2 images must stay", 1, 2),
        (RemovalUntilSize(Osr(keep=0.7), 10), {"max_rounds": 1}, "target size of 7 images reached", 3, 7),
        (RemovalUntilSize(Osr(keep=1), 10), {}, "target size of 10 images reached", 0, 10),
        (
            RemovalUntilSize(Osr(keep=0.2), 10),
            {"min_keep": 0.9},
            "refine.min_keep reached: 9 images must stay",
            1,
            9,
        ),
    ],
)
def test_why_it_stops(strategy, params, reason, rounds, left):
    found = run(strategy, **params)
    assert found.stop_reason == reason
    assert found.rounds == rounds
    assert found.images["kept"].sum() == left


def test_the_published_rules_say_why_they_stop():
    flat = FakeDetector(lambda image_id, seen: 1.0)
    one_off = FakeDetector(lambda image_id, seen: 9.0 if image_id == "im003" else 1.0)
    converged = "converged: no score over the threshold"
    assert run(IRP, model=flat).stop_reason == converged
    assert run(OneShotRemoval(Osr()), model=flat).stop_reason == converged
    assert run(OneShotRemoval(Osr()), model=one_off).stop_reason.startswith("one shot")
    found = run(IRP, model=one_off)
    assert (found.stop_reason, found.rounds) == (converged, 1)
    assert found.images.loc[found.images["kept"] == 0, "image_id"].tolist() == ["im003"]


def test_the_floor_keeps_the_least_anomalous():
    own = {image_id: float(number + 1) for number, image_id in enumerate(image_set(10).ids)}
    found = run(Scripted(10), model=FakeDetector(lambda image_id, seen: own[image_id]), min_keep=0.6)
    assert found.images.loc[found.images["kept"] == 1, "image_id"].tolist() == [
        f"im{n:03d}" for n in range(6)
    ]


counts = st.lists(st.integers(0, 8), max_size=6)


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(1, 20), st.floats(0.01, 1), st.integers(0, 6))
def test_bookkeeping_holds_whatever_a_strategy_removes(script, count, min_keep, max_rounds):
    model = FakeDetector()
    found = run(Scripted(*script), count, model, min_keep=min_keep, max_rounds=max_rounds)
    images, history = found.images, found.history
    assert images["kept"].sum() >= min(count, max(2, ceil(min_keep * count)))
    assert images["image_id"].tolist() == sorted(image_set(count).ids)
    gone = history[history["removed"] == 1]
    assert not gone["image_id"].duplicated().any()
    assert set(gone["image_id"]) == set(images.loc[images["kept"] == 0, "image_id"])
    assert found.rounds == gone["round"].nunique() <= max_rounds
    assert len(model.fits) == found.rounds + (found.rounds > 0), "a retraining a round, and the final fit"
    left = set(image_set(count).ids)
    for number, rows in history.groupby("round"):
        assert set(rows["image_id"]) == left, f"round {number} scores exactly those still kept"
        left -= set(rows.loc[rows["removed"] == 1, "image_id"])
    assert left == set(images.loc[images["kept"] == 1, "image_id"])


def test_the_summary_is_the_last_round_that_scored_each_image():
    found = run(Scripted(2, 1, 0))
    for row in found.images.itertuples():
        rows = found.history[found.history["image_id"] == row.image_id]
        last = rows.iloc[-1]
        assert row.score == last["score"]
        assert row.threshold == last["threshold"] == 1.0
        same_round = found.history[found.history["round"] == last["round"]]
        assert row.relative_score == pytest.approx(row.score / same_round["score"].median())
        assert row.kept == 1 - last["removed"]
        assert (row.removed_round is pd.NA) == (row.kept == 1)
        assert row.kept == 1 or row.removed_round == last["round"]


class Everybody(Scorer):
    """Scores every image in every round, also those that are out."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = ids

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        return pd.Series(1.0, index=list(self.ids))


class Named(Strategy):
    """Has certain images out after each round."""

    def __init__(self, *rounds: str) -> None:
        self.rounds = list(rounds)

    def step(self, scores: pd.Series, floor: int) -> Removal:
        names = self.rounds.pop(0)
        return Removal(tuple(image_id for image_id in scores.index if image_id[-1] in names), 1.0)


def test_an_image_removed_by_mistake_comes_back():
    images, model = image_set(8), FakeDetector()
    found = refine(model, images, Named("012", "12", "123", "123"), Everybody(images.ids), Refine())
    assert (found.rounds, found.stop_reason) == (3, "converged: the set did not change")
    table = found.images.set_index("image_id")["removed_round"]
    assert table.dropna().to_dict() == {"im001": 1, "im002": 1, "im003": 3}
    assert [len(ids) for ids, _ in model.fits] == [5, 6, 5, 5]


def test_without_a_round_nothing_is_scored_and_all_stay():
    found = run(IRP, max_rounds=0)
    assert found.history.empty
    assert found.images["kept"].eq(1).all()
    assert found.images[["score", "threshold", "relative_score", "removed_round"]].isna().all(axis=None)


def test_retraining_starts_warm_on_exactly_what_is_left():
    model, seen = FakeDetector(), []
    images = image_set(6)
    found = refine(
        model,
        images,
        Scripted(1, 2),
        InSample(),
        Refine(final_fit="warm"),
        lambda number, m: seen.append((number, m)),
    )
    assert [warm for _, warm in model.fits] == [True, True]
    assert [len(ids) for ids, _ in model.fits] == [5, 3]
    assert set(model.fits[-1][0]) == set(found.images.loc[found.images["kept"] == 1, "image_id"])
    assert seen == [(0, model), (1, model), (2, model)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused_with_its_image(value):
    broken = FakeDetector(lambda image_id, seen: value if image_id == "im004" else 1.0)
    with pytest.raises(UserError, match="image im004 no finite score"):
        run(Vanilla(), model=broken)


def test_nothing_to_refine_is_refused():
    with pytest.raises(UserError, match="no training image"):
        refine(FakeDetector(), Images((), image_set(1).prepared), Vanilla(), InSample(), Refine())


def test_the_final_fit_trains_anew_on_what_was_kept_and_counts_as_the_last_round():
    model, seen = FakeDetector(), []
    refine(
        model, image_set(6), Scripted(1, 2), InSample(), Refine(), lambda number, m: seen.append((number, m))
    )
    assert [(len(ids), warm) for ids, warm in model.fits] == [(5, True), (3, True), (3, False)]
    assert [number for number, _ in seen] == [0, 1, 2, 2]
