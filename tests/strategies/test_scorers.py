"""Out of fold: every image is scored by a model that never saw it, in every round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.detectors.base import Images, Scores
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.differnet.settings import Settings
from adrefine.errors import UserError
from adrefine.params import Refine
from adrefine.strategies import scorers
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.engine import refine
from adrefine.strategies.scorers import InSample, OutOfFold
from fakes import FakeDetector, image_set, vector_store


class Spy(FakeDetector):
    """Fails when it scores an image that it ever learned; the score is the number of images learned last."""

    def score(self, images: Images) -> Scores:
        learned = {image_id for ids, _ in self.fits for image_id in ids}
        assert not learned & set(images.ids)
        return Scores(np.full(len(images), float(len(self.seen))))


class DropFirst(Strategy):
    """Removes the given ids, one a round."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = list(ids)

    def step(self, scores, floor):
        return Removal((self.ids.pop(0),)) if self.ids else Removal()


def out_of_fold(count: int, folds: int, seed: int = 0) -> OutOfFold:
    return OutOfFold(Spy(), image_set(count).ids, folds, seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(12, 25), st.data())
def test_no_image_is_scored_by_a_model_that_saw_it(folds, count, data):
    images, scorer = image_set(count), out_of_fold(count, folds)
    gone = data.draw(st.lists(st.sampled_from(images.ids), unique=True, max_size=4))
    found = refine(FakeDetector(), images, DropFirst(tuple(gone)), scorer, Refine(min_keep=0.5))
    assert len(found.history["round"].unique()) == len(gone) + 1
    assert found.history["score"].notna().all()


def test_each_model_learns_all_that_is_kept_but_its_fold():
    images, scorer = image_set(11), out_of_fold(11, 3)
    kept = images.only(images.ids[2:])
    scores = scorer.scores(FakeDetector(), kept)
    assert scores.index.tolist() == list(kept.ids)
    for fold, model in enumerate(scorer.models):
        ((learned, warm),) = model.fits
        assert learned == tuple(i for i in kept.ids if scorer.fold_of[i] != fold)
        assert not warm
    sizes = {i: len(scorer.models[scorer.fold_of[i]].seen) for i in kept.ids}
    assert scores.to_dict() == sizes


def test_folds_are_of_one_size_and_hold_still_when_images_go():
    scorer = out_of_fold(23, 5)
    sizes = np.bincount(list(scorer.fold_of.values()))
    assert sizes.max() - sizes.min() <= 1
    before = dict(scorer.fold_of)
    images = image_set(23)
    scorer.scores(FakeDetector(), images)
    scorer.scores(FakeDetector(), images.only(images.ids[4:]))
    assert scorer.fold_of == before


def test_fold_models_start_cold_then_warm():
    scorer, images = out_of_fold(8, 2), image_set(8)
    for _ in range(3):
        scorer.scores(FakeDetector(), images)
    assert [[warm for _, warm in model.fits] for model in scorer.models] == [[False, True, True]] * 2


def test_an_emptied_fold_does_no_harm():
    scorer, images = out_of_fold(12, 3), image_set(12)
    left = images.only(i for i in images.ids if scorer.fold_of[i] != 1)
    assert scorer.scores(FakeDetector(), left).index.tolist() == list(left.ids)


def test_folds_follow_from_ids_and_seed_not_from_order():
    ids = image_set(20).ids
    first = out_of_fold(20, 4).fold_of
    assert OutOfFold(Spy(), ids[::-1], 4, 0).fold_of == first
    assert out_of_fold(20, 4, seed=1).fold_of != first


def test_the_model_being_refined_is_left_alone():
    model = FakeDetector()
    out_of_fold(8, 2).scores(model, image_set(8))
    assert not model.fits


class Fussy(Spy):
    """As a real detector: it cannot learn from fewer than two images."""

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        assert len(images) >= 2
        return super().fit(images, warm_start=warm_start)

    def score(self, images: Images) -> Scores:
        assert self.fits
        return super().score(images)


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 12), st.integers(2, 6), st.randoms(use_true_random=False))
def test_small_sets_get_a_finite_score_for_every_image_or_are_refused_at_once(count, folds, order):
    """Images go one by one, in any order, down to the two that the engine always keeps."""
    images, fresh = image_set(count), Fussy()
    if count < 4 or folds > count // 2:
        with pytest.raises(UserError, match=r"set refine\.scorer to in_sample|refine\.folds = .* at most"):
            OutOfFold(fresh, images.ids, folds, seed=0)
        return
    scorer, left = OutOfFold(fresh, images.ids, folds, seed=0), list(images.ids)
    order.shuffle(left)
    while len(left) >= 2:
        kept = images.only(left)
        scores = scorer.scores(FakeDetector(), kept)
        assert scores.index.tolist() == list(kept.ids)
        assert np.isfinite(scores).all()
        left.pop()


def test_a_flow_scores_the_last_two_images_of_one_fold(tmp_path):
    images = vector_store(tmp_path, count=4, outliers=0)
    params = Settings(hidden=8, layers=1, blocks=2, epochs=2, finetune_epochs=1)
    scorer = OutOfFold(DifferNet(params), images.ids, folds=2, seed=0)
    scorer.scores(FakeDetector(), images)
    last = images.only(i for i in images.ids if scorer.fold_of[i] == 0)
    assert np.isfinite(scorer.scores(FakeDetector(), last)).all()


def test_too_few_images_for_any_folds_name_the_way_out():
    with pytest.raises(UserError, match="needs 4 training images or more, there are 3: set"):
        out_of_fold(3, 2)


@pytest.mark.parametrize(("count", "folds", "possible"), [(8, 4, True), (8, 5, False), (5, 3, False)])
def test_too_many_folds_are_refused(count, folds, possible):
    if possible:
        out_of_fold(count, folds)
    else:
        with pytest.raises(UserError, match=rf"refine.folds = {folds} .* at most {count // 2}"):
            out_of_fold(count, folds)


def test_in_sample_scores_are_those_of_the_model():
    model, images = FakeDetector(), image_set(5)
    model.fit(images)
    scores = InSample().scores(model, images)
    assert scores.index.tolist() == list(images.ids)
    np.testing.assert_array_equal(scores, model.score(images).image)


@pytest.mark.parametrize(("name", "kind"), [("in_sample", InSample), ("out_of_fold", OutOfFold)])
def test_the_policy_is_chosen_by_name(name, kind):
    assert type(scorers.create(Refine(scorer=name), Spy(), image_set(10).ids)) is kind


def test_shots_of_one_part_are_in_one_fold() -> None:
    images = image_set(30)
    parts = {image_id: f"p{place // 4}" for place, image_id in enumerate(images.ids[:20])}
    folds = OutOfFold(Spy(), images.ids, 3, 0, parts=parts).fold_of
    assert all(len({folds[i] for i in parts if parts[i] == part}) == 1 for part in set(parts.values()))
    assert set(folds.values()) == {0, 1, 2}
