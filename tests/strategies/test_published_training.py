"""How OSR, IRP and META train under `refine.preset: paper`, fit by fit, as their algorithms say."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine import detectors, strategies
from adrefine.detectors.base import Detector, Images
from adrefine.params import Params, parse
from adrefine.strategies.engine import Outcome, refine
from adrefine.strategies.scorers import create
from fakes import FakeDetector, MetaDetector, image_set, vector_store, weights

COUNT = 16


def as_published(name: str, model: FakeDetector, **sections) -> Outcome:
    """`model`, pre-trained on 16 images, refined."""
    content = {"refine": {"preset": "paper", "strategy": name, "min_keep": 0.1}, **sections}
    return refined(parse(content), model, image_set(COUNT))


def refined(params: Params, model: Detector, images: Images) -> Outcome:
    """`model`, pre-trained on `images`, refined."""
    model.fit(images)
    learning = params.chosen_strategy.training(params.refine)
    scorer = create(params.refine, model, images.ids, learning)
    strategy = strategies.create(params, len(images))
    return refine(model, images, strategy, scorer, params.refine, training=learning)


def high(image_id: str, seen: frozenset[str]) -> float:
    """Images 10 to 15 are over 1.5 × median, whatever was learned; the later the worse."""
    number = int(image_id[2:])
    return 1.0 if number < 10 else 10.0 + number


def without(*numbers: int) -> tuple[str, ...]:
    return tuple(image_id for image_id in image_set(COUNT).ids if int(image_id[2:]) not in numbers)


def test_osr_removes_once_and_fine_tunes_what_it_has():
    """OSR sect. 4.3: one training, one removal, one update of the same model."""
    model = FakeDetector(high)
    outcome = as_published("osr", model)
    left = without(*range(10, COUNT))
    assert model.fits == [(without(), False), (left, True)]
    assert outcome.rounds == 1


def test_osr_until_size_updates_the_model_after_every_removal_and_never_starts_anew():
    """OSR Algorithm 1: while |D| > T, score, delete the arg-max, update the model."""
    model = FakeDetector(high)
    as_published("osr", model, osr={"mode": "until_size", "keep": 0.75})
    expected = [(without(*range(last, COUNT)), True) for last in (15, 14, 13, 12)]
    assert model.fits == [(without(), False), *expected]


def test_irp_retrains_from_scratch_after_every_removal():
    """IRP Algorithm 1: delete the arg-max, retrain on what is left, repeat."""
    model = FakeDetector(high)
    as_published("irp", model)
    expected = [(without(*range(last, COUNT)), False) for last in range(15, 9, -1)]
    assert model.fits == [(without(), False), *expected]


def test_meta_goes_on_meta_learning_after_every_round():
    """META Algorithm 1: one MAML initialization, one update a round; what is over Q3 + 1.5 IQR goes."""
    model = MetaDetector(high)
    as_published("meta_iqr", model, meta_iqr={"holdout": 0, "scope": "dataset", "k": 1.0})
    first, *later = model.meta_fits
    assert first == (without(), False)
    assert all(warm for _, warm in later)


@pytest.mark.parametrize(("name", "trained"), [("osr", 2), ("irp", 7)])
def test_the_last_rounds_model_is_the_result(name, trained):
    """No document trains once more at the end."""
    model = FakeDetector(high)
    as_published(name, model)
    assert len(model.fits) == trained


@pytest.mark.parametrize("osr", [{"lambda": 1.1}, {"mode": "until_size", "keep": 0.9}])
@pytest.mark.parametrize("scorer", ["in_sample", "out_of_fold"])
def test_osr_learns_from_the_photos_it_keeps_also_where_a_warm_start_learns_nothing(tmp_path, osr, scorer):
    """The small flow keeps its weights in a warm start: what was removed would stay in them for good."""
    refine_as = {"preset": "paper", "strategy": "osr", "scorer": scorer}
    params = parse({"detector": "differnet", "differnet": {"epochs": 3}, "refine": refine_as, "osr": osr})
    images, model, vanilla = vector_store(tmp_path), detectors.create(params), detectors.create(params)
    outcome = refined(params, model, images)
    kept = images.only(outcome.images.loc[outcome.images["kept"] == 1, "image_id"])
    assert len(kept) < len(images)
    vanilla.fit(images)
    assert not np.array_equal(weights(model), weights(vanilla))
    vanilla.fit(kept)
    assert np.array_equal(weights(model), weights(vanilla)), "nothing of a removed photo is left"
    assert outcome.stop_reason.endswith("a warm start of this detector learns nothing")


def test_osr_fine_tunes_a_flow_that_learns_warm(tmp_path):
    section = {"epochs": 3, "finetune_epochs": 2, "warm_from": "last"}
    params = parse(
        {"detector": "differnet", "differnet": section, "refine": {"preset": "paper", "strategy": "osr"}}
    )
    images, model, other = vector_store(tmp_path), detectors.create(params), detectors.create(params)
    outcome = refined(params, model, images)
    other.fit(images)
    other.fit(images.only(outcome.images.loc[outcome.images["kept"] == 1, "image_id"]), warm_start=True)
    assert np.array_equal(weights(model), weights(other))
    assert outcome.stop_reason == "one shot: removed once, as the method says"
