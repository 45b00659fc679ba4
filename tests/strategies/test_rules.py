"""vanilla, OSR and IRP against the papers' algorithms written out literally, with a detector that drifts."""

from __future__ import annotations

from statistics import median

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine import strategies
from adrefine.params import Params
from adrefine.strategies.base import WorstShare
from adrefine.strategies.engine import Outcome, refine
from adrefine.strategies.scorers import InSample
from fakes import FakeDetector, drifting, image_set

LAMBDAS = st.sampled_from([1.1, 1.3, 1.5, 2.0, 4.0])
SIZES = st.integers(4, 24)
FREE = {"max_rounds": 1000, "min_keep": 1e-9}


def run(count: int, refine_as: dict, **sections) -> Outcome:
    params = Params.model_validate({"refine": {**FREE, **refine_as}, **sections})
    images, model = image_set(count), FakeDetector()
    model.fit(images)
    return refine(model, images, strategies.create(params, count), InSample(), params.refine)


def kept(outcome: Outcome) -> set[str]:
    return set(outcome.images.loc[outcome.images["kept"] == 1, "image_id"])


def scored(data: set[str]) -> dict[str, float]:
    """Scores by a model trained on `data` of its own images."""
    return {image_id: drifting(image_id, frozenset(data)) for image_id in data}


def osr_algorithm_1(data: set[str], size: int) -> set[str]:
    while len(data) > size:
        a = scored(data)
        data = data - {max(a, key=a.get)}
    return data


def osr_threshold(data: set[str], factor: float) -> set[str]:
    a = scored(data)
    return {x for x in data if a[x] <= factor * median(a.values())}


def irp(data: set[str], factor: float, drop_all: bool) -> set[str]:
    """Algorithm 1, or with eq. 6 in place of its arg-max; two images always stay."""
    while True:
        a = scored(data)
        outliers = sorted((x for x in data if a[x] > factor * median(a.values())), key=a.get, reverse=True)
        outliers = (outliers if drop_all else outliers[:1])[: len(data) - 2]
        if not outliers:
            return data
        data = data - set(outliers)


def mad(data: set[str], start: float, end: float, decay: float) -> set[str]:
    """median + k · MAD with a falling k; two images always stay."""
    k = start
    while True:
        a = scored(data)
        middle = median(a.values())
        limit = middle + k * median(abs(value - middle) for value in a.values())
        outliers = sorted((x for x in data if a[x] > limit), key=a.get, reverse=True)
        if len(outliers) > len(data) - 2:
            return data - set(outliers[: len(data) - 2])
        if not outliers and k <= end:
            return data
        data, k = data - set(outliers), max(end, k * decay)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.floats(1, 6), st.floats(0.5, 1), st.floats(0.3, 0.95))
def test_mad_is_its_rule(count, start, share, decay):
    values = {"start": start, "end": share * start, "decay": decay}
    assert kept(run(count, {"strategy": "mad"}, mad=values)) == mad(set(image_set(count).ids), **values)


@pytest.mark.parametrize("remove", ["max", "all"])
@settings(max_examples=30, deadline=None)
@given(count=SIZES, factor=LAMBDAS)
def test_irp_is_its_algorithm_1_and_equation_6(remove, count, factor):
    found = run(count, {"strategy": "irp"}, irp={"lambda": factor, "remove": remove})
    assert kept(found) == irp(set(image_set(count).ids), factor, remove == "all")


@settings(max_examples=30, deadline=None)
@given(count=SIZES, keep=st.floats(0.1, 1))
def test_osr_until_size_is_its_algorithm_1(count, keep):
    found = run(count, {"strategy": "osr", "max_rounds": 1}, osr={"mode": "until_size", "keep": keep})
    size = max(2, round(keep * count))
    assert kept(found) == osr_algorithm_1(set(image_set(count).ids), size)
    assert len(kept(found)) == size


@settings(max_examples=30, deadline=None)
@given(count=SIZES, factor=LAMBDAS)
def test_osr_by_threshold_removes_once(count, factor):
    found = run(count, {"strategy": "osr"}, osr={"lambda": factor})
    assert kept(found) == osr_threshold(set(image_set(count).ids), factor)
    assert found.history["round"].unique().tolist() == [1]


@settings(max_examples=5, deadline=None)
@given(SIZES)
def test_vanilla_removes_nothing(count):
    found = run(count, {"strategy": "vanilla"})
    assert kept(found) == set(image_set(count).ids)
    assert found.stop_reason == "vanilla removes nothing"
    assert found.images["score"].notna().all()


def step(scores: list[float], section: str = "irp", **values):
    params = Params.model_validate({"refine": {"strategy": section}, section: values})
    series = pd.Series(scores, index=[f"i{number}" for number in range(len(scores))])
    return strategies.create(params, len(scores)).step(series, 1)


def test_a_score_on_the_threshold_stays():
    assert step([1, 1, 1, 1.5], **{"lambda": 1.5}).stop == "converged: no score over the threshold"
    assert step([1, 1, 1, 1.51], **{"lambda": 1.5}).ids == ("i3",)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two():
    assert step([1, 1, 3, 100], **{"lambda": 2}).threshold == 4.0


def test_of_equal_worst_scores_the_first_goes():
    assert step([1, 1, 1, 9, 9], remove="max").ids == ("i3",)
    assert step([1, 1, 1, 9, 9], remove="all").ids == ("i3", "i4")
    assert step([1, 9, 9], "osr", mode="until_size", keep=0.3).ids == ("i1",)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=20), st.floats(0.001, 1000))
def test_the_unit_of_the_scores_does_not_matter(scores, unit):
    """Powers of two only: other factors round."""
    unit = 2.0 ** round(unit % 20)
    assert step(scores, remove="all").ids == step([unit * s for s in scores], remove="all").ids


def test_a_known_share_goes_at_once_the_highest_scores_first():
    rule = WorstShare(0.3, 10)
    scores = pd.Series([5.0, 1, 4, 2, 3, 0.5, 0.4, 0.3, 0.2, 0.1], index=list("abcdefghij"))
    removal = rule.step(scores, 2)
    assert removal.ids == ("a", "c", "e")
    assert removal.threshold == 2.5
    assert removal.stop == "one shot: refine.contamination = 0.3 of 10 photos"
    assert rule.step(scores.drop(["a", "j"]), 2).ids == ("c",)  # a human removed two, which count
    assert WorstShare(0.0, 10).step(scores, 2).ids == ()
