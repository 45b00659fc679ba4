"""meta_iqr against META's Algorithm 1 written out literally, with a detector that drifts."""

from __future__ import annotations

from itertools import count
from math import ceil, floor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine import strategies
from adrefine.errors import UserError
from adrefine.params import Params
from adrefine.runtime.seeds import derived_seed
from adrefine.strategies import scorers
from adrefine.strategies.engine import Outcome, refine
from adrefine.strategies.meta_iqr import MetaIqr, QuartileRefinement, mini_batches
from adrefine.strategies.scorers import OutOfFold
from fakes import FakeDetector, MetaDetector, drifting, image_set, likelihood

FREE = {"strategy": "meta_iqr", "scorer": "in_sample", "max_rounds": 1000, "min_keep": 1e-9}


def run(size: int, model: FakeDetector | None = None, refine_as: dict | None = None, **meta) -> Outcome:
    params = Params.model_validate({"refine": {**FREE, **(refine_as or {})}, "meta_iqr": meta})
    images, model = image_set(size), model or MetaDetector()
    learning = params.chosen_strategy.training(params.refine)
    scorer = scorers.create(params.refine, model, images.ids, learning)
    return refine(model, images, strategies.create(params, size), scorer, params.refine, training=learning)


def kept(outcome: Outcome) -> set[str]:
    return set(outcome.images.loc[outcome.images["kept"] == 1, "image_id"])


def quartile(values: list[float], share: float) -> float:
    """Linear between the two order statistics beside it."""
    place = share * (len(values) - 1)
    low, high = sorted(values)[floor(place)], sorted(values)[ceil(place)]
    return low + (place - floor(place)) * (high - low)


def equal_parts(ids: list[str], params: MetaIqr, number: int) -> list[list[str]]:
    """META's mini-batches of a round: a shuffle, cut into as few parts as can be, of nearly one size."""
    places = np.random.default_rng(derived_seed("meta batches", params.seed, number)).permutation(len(ids))
    count = ceil(len(ids) / params.batch_size)
    size, larger = divmod(len(ids), count)
    ends = [(place + 1) * size + min(place + 1, larger) for place in range(count)]
    return [[ids[i] for i in places[start:end]] for start, end in zip([0, *ends], ends, strict=False)]


def algorithm_1(data: set[str], params: MetaIqr) -> tuple[set[str], str]:
    """META's Algorithm 1; θ is the set of images learned last. Two images always stay."""
    held = {x for x in data if derived_seed("meta holdout", params.seed, x) / 2**64 < params.holdout}
    theta, watching, number = frozenset(data), frozenset(data - held), 0
    can_watch = len(data - held) >= 2 and bool(held)
    while True:
        number, over = number + 1, {}
        whole = [sorted(data)]
        for batch in equal_parts(sorted(data), params, number) if params.scope == "batch" else whole:
            s = {x: drifting(x, theta) for x in batch}
            q1, q3 = quartile(list(s.values()), 0.25), quartile(list(s.values()), 0.75)
            for x in batch:
                if s[x] > q3 + params.k * (q3 - q1):
                    over[x] = s[x]
        outliers = sorted(over, key=over.get, reverse=True)
        if not outliers:
            return data, "converged: no score over the threshold"
        if len(outliers) > len(data) - 2:
            return data - set(outliers[: len(data) - 2]), "refine.min_keep reached: 2 images must stay"
        data = data - set(outliers)
        theta = frozenset(data)
        if can_watch and held & data and len(data - held) >= 2:
            after = frozenset(data - held)
            gains = [likelihood(x, after) - likelihood(x, watching) for x in held & data]
            watching = after
            if sum(gains) <= 0:
                return data, "converged: the likelihood of held-out images stopped rising"


@pytest.mark.parametrize("scope", ["batch", "dataset"])
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(4, 30),
    k=st.sampled_from([0, 0.2, 0.5, 1.5]),
    size=st.integers(1, 12),
    holdout=st.sampled_from([0.0, 0.15, 0.5, 0.9]),
    seed=st.integers(0, 3),
)
def test_it_is_its_algorithm_1(scope, count, k, size, holdout, seed):
    values = {"k": k, "scope": scope, "batch_size": size, "holdout": holdout, "seed": seed}
    found = run(count, **values)
    left, reason = algorithm_1(set(image_set(count).ids), MetaIqr(**values))
    assert kept(found) == left
    assert found.stop_reason == reason


def step(scores: list[float], **values):
    series = pd.Series(scores, index=[f"i{number:03d}" for number in range(len(scores))])
    return series, QuartileRefinement(MetaIqr(**values)).step(series, 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=80), st.integers(1, 30), st.integers(0, 3))
def test_mini_batches_are_equal_parts_of_a_shuffle(scores, size, seed):
    ids = [f"i{number}" for number in range(len(scores))]
    batches = mini_batches(ids, MetaIqr(batch_size=size, seed=seed), 1)
    assert sorted(image_id for batch in batches for image_id in batch) == sorted(ids)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == ceil(len(ids) / size)


def test_seed_and_round_decide_the_mini_batches():
    ids, params = [f"i{number}" for number in range(40)], MetaIqr()
    first = mini_batches(ids, params, 1)
    assert mini_batches(ids, params, 1) == first
    assert mini_batches(ids, params, 2) != first
    assert mini_batches(ids, MetaIqr(seed=1), 1) != first
    rule, scores = QuartileRefinement(params), pd.Series(np.arange(40.0), index=ids)
    assert not rule.step(scores, 2).threshold.equals(rule.step(scores, 2).threshold), (
        "a new pass, a new shuffle"
    )


def test_over_the_whole_set_there_is_one_threshold_in_batches_one_for_each():
    values = [*np.linspace(1, 2, 47), 9.0]
    series, whole = step(values, scope="dataset")
    first, third = np.percentile(values, 25), np.percentile(values, 75)
    assert whole.threshold.unique() == pytest.approx([third + 1.5 * (third - first)])
    assert whole.ids == ("i047",)
    _, batched = step(values, scope="batch")
    parts = mini_batches(list(series.index), MetaIqr(), 1)
    assert [len(part) for part in parts] == [24, 24]
    assert batched.threshold.nunique() == 2
    assert all(batched.threshold[part].nunique() == 1 for part in parts)


def test_the_history_keeps_the_threshold_of_each_image():
    table = run(30, k=0.3, batch_size=10).history
    assert (table.groupby("round")["threshold"].nunique() > 1).all()
    assert (table["removed"] == (table["score"] > table["threshold"])).all()


def test_a_score_on_the_threshold_stays():
    assert step([1, 1, 1, 1], k=0)[1].stop == "converged: no score over the threshold"
    assert step([1, 1, 1, 1, 1.1], scope="dataset")[1].ids == ("i004",)


@pytest.mark.parametrize("scorer", ["in_sample", "out_of_fold"])
def test_a_detector_that_cannot_meta_learn_is_refused_before_the_first_round(scorer):
    model = FakeDetector()
    with pytest.raises(UserError, match=r"refine\.strategy = meta_iqr .* FakeDetector cannot"):
        run(12, model, {"scorer": scorer})
    assert not model.fits


def test_every_model_of_every_round_is_meta_learned():
    model = MetaDetector()
    params = Params.model_validate({"refine": {"strategy": "meta_iqr", "folds": 3}, "meta_iqr": {"k": 0.2}})
    images, learning = image_set(18), params.chosen_strategy.training(params.refine)
    scorer = scorers.create(params.refine, model, images.ids, learning)
    assert isinstance(scorer, OutOfFold)
    refine(model, images, strategies.create(params, 18), scorer, params.refine, training=learning)
    *rounds, last = model.fits
    assert rounds == model.meta_fits
    assert [warm for _, warm in rounds] == [False] + [True] * (len(rounds) - 1)
    assert len(rounds) > 1
    assert last == (rounds[-1][0], False), "the final fit is the detector's own, as the ceiling's is"
    for fold in scorer.models:
        assert fold.fits == fold.meta_fits
        assert [warm for _, warm in fold.fits] == [False] + [True] * (len(fold.fits) - 1)


@pytest.mark.parametrize(("final_fit", "meta_learned"), [("scratch", False), ("warm", True)])
def test_where_nothing_is_removed_the_final_fit_still_decides_what_the_model_is(final_fit, meta_learned):
    model = MetaDetector(lambda image_id, seen: 1.0)
    found = run(10, model, {"final_fit": final_fit})
    assert (found.rounds, found.stop_reason) == (0, "converged: no score over the threshold")
    assert (model.fits[-1] in model.meta_fits and len(model.fits) == 1) == meta_learned
    assert model.fits[-1] == (image_set(10).ids, False)


def test_it_goes_on_while_held_out_images_grow_likelier_and_never_learns_them_where_it_watches():
    def likely(sign: int):
        ticks = count()

        def of(image_id: str, seen: frozenset[str]) -> float:
            assert image_id not in seen, "watched images are held out"
            return float(sign * next(ticks))

        return of

    grown = run(30, MetaDetector(likely=likely(1)), k=0.2)
    assert grown.stop_reason in (
        "converged: no score over the threshold",
        "refine.min_keep reached: 2 images must stay",
    )
    assert grown.rounds > 1
    sunk = run(30, MetaDetector(likely=likely(-1)), k=0.2)
    assert sunk.stop_reason == "converged: the likelihood of held-out images stopped rising"
    assert sunk.rounds == 1


def test_the_same_run_twice_is_the_same():
    one, other = run(25, k=0.3), run(25, k=0.3)
    assert one.images.equals(other.images)
    assert one.history.equals(other.history)
