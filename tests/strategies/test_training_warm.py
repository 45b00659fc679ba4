"""When a model that is refined starts warm, and when it learns from scratch."""

from __future__ import annotations

import pandas as pd

from adrefine.detectors.base import Images, Scores
from adrefine.params import Refine
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.engine import refine
from adrefine.strategies.learning import Training
from adrefine.strategies.scorers import InSample, OutOfFold
from fakes import FakeDetector, image_set


def fitted(refit: float, sizes: list[int]) -> list[bool]:
    """Whether each fit was warm, of a model that learned the first of `sizes` images, then had the others."""
    images, model, training = image_set(20), FakeDetector(), Training(refit)
    assert training.start(model, first(images, sizes[0])) is False
    for size in sizes[1:]:
        training.fit(model, first(images, size), warm_start=True)
    assert [len(ids) for ids, _ in model.fits] == sizes[1:]
    return [warm for _, warm in model.fits]


def first(images: Images, count: int) -> Images:
    return images.only(images.ids[:count])


def test_a_model_learns_from_scratch_once_enough_is_gone_and_counts_anew() -> None:
    assert fitted(0.2, [20, 18, 17, 16, 15, 13, 12, 11]) == [True, True, False, True, True, False, True]


def test_one_is_never() -> None:
    assert fitted(1.0, [20, 10, 2]) == [True, True]


def test_images_that_come_back_count_too() -> None:
    assert fitted(0.2, [15, 16, 18, 20, 14]) == [True, False, True, False]


def test_every_model_is_counted_for_itself() -> None:
    images, training = image_set(20), Training(0.5)
    early, late = FakeDetector(), FakeDetector()
    training.fit(early, images, warm_start=False)
    training.fit(late, first(images, 12), warm_start=False)
    for model in (early, late):
        training.fit(model, first(images, 10), warm_start=True)
    assert [[warm for _, warm in model.fits] for model in (early, late)] == [[False, False], [False, True]]


def test_nought_is_every_round() -> None:
    assert fitted(0.0, [20, 19, 20]) == [False, False]


class Still(FakeDetector):
    """A detector that a warm start leaves as it is, and that remembers what it was asked to score."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    @property
    def learns_warm(self) -> bool:
        return False

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        return [] if warm_start else super().fit(images)

    def score(self, images: Images) -> Scores:
        self.asked.append(len(images))
        return super().score(images)


def test_what_a_model_scored_it_scores_again_only_after_it_learned() -> None:
    images, model, training = image_set(20), Still(), Training(0.2)
    training.fit(model, images, warm_start=False)
    scorer = InSample(training)
    for size in (20, 18, 16, 15):
        kept = first(images, size)
        training.fit(model, kept, warm_start=True)
        found = scorer.scores(model, kept)
        assert list(found.index) == list(kept.ids)
        assert list(found) == list(Still.score(model, kept).image)
        model.asked.pop()
    assert model.asked == [20, 16]


def test_fold_models_that_keep_still_are_asked_once() -> None:
    images, training = image_set(12), Training(1.0)
    scorer = OutOfFold(Still(), images.ids, folds=3, seed=0, training=training)
    before = scorer.scores(Still(), images)
    after = scorer.scores(Still(), first(images, 10))
    assert list(after) == list(before[list(after.index)])
    assert [model.asked for model in scorer.models] == [[4], [4], [4]]


class Half(Strategy):
    """Removes the second half of the images, once."""

    def step(self, scores: pd.Series, floor: int) -> Removal:
        return Removal(tuple(scores.index[len(scores) // 2 :]), stop="once")


def test_a_last_round_from_scratch_is_the_final_fit() -> None:
    model, seen = FakeDetector(), []
    refine(
        model,
        image_set(10),
        Half(),
        InSample(),
        Refine(),
        lambda number, _: seen.append(number),
        training=Training(0.3),
    )
    assert [(len(ids), warm) for ids, warm in model.fits] == [(5, False)]
    assert seen == [0, 1]


class Silent(FakeDetector):
    """A detector in closed form: it learns in every fit, and has no epochs to write a log of."""

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        super().fit(images, warm_start=warm_start)
        return []


def test_a_detector_without_a_log_is_scored_again_after_every_fit() -> None:
    images, model, training = image_set(20), Silent(), Training(1.0)
    training.fit(model, images, warm_start=False)
    scorer = InSample(training)
    for size in (20, 18, 15):
        training.fit(model, first(images, size), warm_start=True)
        assert list(scorer.scores(model, first(images, size))) == list(model.score(first(images, size)).image)
