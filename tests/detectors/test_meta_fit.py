"""DifferNet learned by MAML: repeatable, goes on where it stood, and leaves ordinary training as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.differnet.settings import Settings
from adrefine.detectors.flow import negative_log_likelihood
from adrefine.errors import UserError
from adrefine.features.store import Store
from adrefine.paths import FEATURES
from adrefine.strategies.meta_iqr import MetaIqr
from fakes import FakeDetector, image_set, weights

SMALL = {"hidden": 8, "layers": 1, "blocks": 2, "epochs": 4, "feature_noise": 0.1, "holdout": 0}
META = MetaIqr(epochs=6, outer_lr=5e-3, support=6, query=6)


def untrained() -> DifferNet:
    return DifferNet(Settings(**SMALL))


@pytest.fixture(scope="module")
def learned(images) -> DifferNet:
    detector = untrained()
    detector.meta_fit(images, META)
    return detector


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_same_settings_give_the_same_bytes(images, tmp_path, optimizer):
    for name in ("first", "again"):
        torch.rand(3)
        detector = untrained()
        detector.meta_fit(images, META.model_copy(update={"optimizer": optimizer}))
        detector.save(tmp_path / name)
    for file in ("differnet.pt", "settings.json", "training_log.csv"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_first_order_learns_something_else(learned, images):
    detector = untrained()
    detector.meta_fit(images, META.model_copy(update={"first_order": True}))
    assert not torch.equal(weights(detector), weights(learned))


def test_outliers_it_never_learned_score_highest(images):
    detector = untrained()
    log = detector.meta_fit(images.only(images.ids[:-3]), META)
    assert [row["epoch"] for row in log] == list(range(6))
    assert log[-1]["train_nll"] < log[0]["train_nll"]
    scores = detector.score(images).image
    assert scores[-3:].min() > scores[:-3].max()
    likelihoods = detector.log_likelihood(images)
    assert likelihoods[-3:].max() < likelihoods[:-3].min()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_warm_starts_are_one_long_training_also_of_a_clone(images, optimizer):
    """Weights, optimizer and draws go on: two epochs and four warm ones are six."""
    params = META.model_copy(update={"optimizer": optimizer})
    whole, parts = untrained(), untrained()
    whole.meta_fit(images, params)
    parts.meta_fit(images, params.model_copy(update={"epochs": 2}))
    other = parts.clone()
    for _ in range(4):
        assert len(parts.meta_fit(images, params, warm_start=True)) == 1
        other.meta_fit(images, params, warm_start=True)
    assert torch.equal(weights(parts), weights(whole))
    assert torch.equal(weights(other), weights(whole))


def test_a_warm_start_keeps_the_scale_and_without_a_meta_fit_before_is_a_cold_one(learned, images):
    warm, first = learned.clone(), untrained()
    warm.meta_fit(images.only(images.ids[:20]), META, warm_start=True)
    assert torch.equal(warm.centre, learned.centre)
    first.fit(images)
    first.meta_fit(images, META, warm_start=True)
    assert torch.equal(weights(first), weights(learned))


def test_ordinary_training_afterwards_is_as_if_it_had_never_been(learned, images):
    after, fresh = learned.clone(), untrained()
    for detector in (after, fresh):
        detector.fit(images)
    assert torch.equal(weights(after), weights(fresh))


def test_a_cold_start_forgets_what_was_learned_before(learned, images):
    again = untrained()
    again.fit(images.only(images.ids[:20]))
    again.meta_fit(images, META)
    assert torch.equal(weights(again), weights(learned))


def test_the_likelihood_is_that_of_the_loss_in_the_features_own_scale(learned, images):
    vectors = torch.from_numpy(Store(images.prepared / FEATURES).vectors(images.ids[:3]))
    with torch.no_grad():
        for number, rows in enumerate((vectors - learned.centre) / learned.spread):
            expected = -float(negative_log_likelihood(*learned.flow(rows)))  # of the standardized features
            expected -= float(learned.spread.log().mean())  # of the features themselves
            assert learned.log_likelihood(images)[number] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_smallest_training_sets_still_learn(images, count):
    detector = untrained()
    detector.meta_fit(images.only(images.ids[:count]), META)
    assert np.isfinite(detector.score(images).image).all()


def test_a_single_image_is_refused(images):
    with pytest.raises(UserError, match="at least 2 training images, got 1"):
        untrained().meta_fit(images.only(images.ids[:1]), META)


@pytest.mark.parametrize(
    "use",
    [lambda model: model.meta_fit(image_set(4), META), lambda model: model.log_likelihood(image_set(4))],
)
def test_a_detector_that_cannot_says_so_and_names_the_strategy(use):
    with pytest.raises(UserError, match=r"refine\.strategy = meta_iqr .* FakeDetector cannot: set detector"):
        use(FakeDetector())
