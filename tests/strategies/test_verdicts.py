"""A human is right: whatever a strategy or a score says, what they keep stays and what they remove is out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine import detectors, strategies
from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.metrics.history import out_after
from adrefine.params import Params, Refine
from adrefine.review import UNDECIDED, Verdicts
from adrefine.strategies import refinement, scorers
from adrefine.strategies.base import Removal, Strategy
from adrefine.strategies.engine import Outcome, refine
from adrefine.strategies.scorers import Scorer
from fakes import FakeDetector, image_set

COUNT = 9
IMAGES = image_set(COUNT)


class Everybody(Scorer):
    """Scores every image in every round, also those that are out, at random."""

    def __init__(self, random) -> None:
        self.random = random

    def scores(self, model: Detector, kept: Images) -> pd.Series:
        return pd.Series([self.random.uniform(0.1, 5) for _ in IMAGES.ids], index=list(IMAGES.ids))


class Drawn(Strategy):
    """Removes images at random, and brings some back."""

    def __init__(self, random) -> None:
        self.random = random

    def step(self, scores: pd.Series, floor: int) -> Removal:
        return Removal(
            tuple(self.random.sample(list(scores.index), self.random.randint(0, len(scores)))), 1.0
        )


verdicts = st.lists(st.sampled_from(["keep", "remove", ""]), min_size=COUNT, max_size=COUNT).map(
    lambda words: Verdicts(
        *(
            frozenset(i for i, word in zip(IMAGES.ids, words, strict=True) if word == name)
            for name in ("keep", "remove")
        )
    )
)
names = st.sampled_from(["drawn", "vanilla", "osr", "irp", "mad"])


@settings(max_examples=150, deadline=None)
@given(
    verdicts,
    names,
    st.sampled_from(["everybody", "in_sample", "out_of_fold"]),
    st.floats(0.01, 1),
    st.randoms(),
)
def test_a_human_is_right_whatever_the_strategy_and_the_scores(human, name, how, min_keep, random):
    params = Params.model_validate(
        {
            "refine": {"strategy": "vanilla" if name == "drawn" else name, "folds": 2, "min_keep": min_keep,
                       "scorer": "in_sample" if how == "everybody" else how, "max_rounds": 4},
            "irp": {"lambda": 1.1, "remove": random.choice(["max", "all"])},
            "osr": {"lambda": 1.1, "mode": random.choice(["threshold", "until_size"]), "keep": 0.3},
            "mad": {"start": 1.0, "end": 0.5},
        }
    )  # fmt: skip
    left = COUNT - len(human.remove)
    if left < (4 if how == "out_of_fold" else 2):
        return
    model, start = FakeDetector(), IMAGES.only(set(IMAGES.ids) - human.remove)
    scorer = Everybody(random) if how == "everybody" else scorers.create(params.refine, model, start.ids)
    strategy = Drawn(random) if name == "drawn" else strategies.create(params, COUNT)
    found = refine(model, IMAGES, strategy, scorer, params.refine, verdicts=human)
    for number, out in out_after(found.history).items():
        assert human.remove <= out, number
        assert not human.keep & out, number
    for ids, _ in model.fits:
        assert human.keep <= set(ids) <= set(start.ids)
    images = found.images.set_index("image_id")
    assert set(images.index[images["kept"] == 0]) == out_after(found.history)[found.history["round"].max()]
    assert (images.loc[list(human.remove), "removed_round"] == 0).all()
    assert set(images.index[images["reviewed"] == "keep"]) == human.keep
    assert set(images.index[images["reviewed"] == "remove"]) == human.remove
    assert images.loc[list(human.keep), "score"].notna().all(), "what a human keeps is scored all the same"
    scored = found.history[found.history["round"] > 0]
    assert not set(scored["image_id"]) & human.remove
    assert (scored["reviewed"] == np.where(scored["image_id"].isin(human.keep), "keep", "")).all()


def by_rank(image_id: str, seen: frozenset[str]) -> float:
    """Image 0 scores 1, image 1 scores 1.1 ...; the last two are far out."""
    number = int(image_id[2:])
    return 1 + number / 10 + 10 * (number >= COUNT - 2)


def run(
    name: str = "irp", human: Verdicts = UNDECIDED, model: FakeDetector | None = None, **changes
) -> Outcome:
    params = Params.model_validate({"refine": {"strategy": name, "scorer": "in_sample", **changes}})
    model = model or FakeDetector(by_rank)
    scorer = scorers.create(params.refine, model, IMAGES.ids)
    return refine(model, IMAGES, strategies.create(params, COUNT), scorer, params.refine, verdicts=human)


def gone(found: Outcome) -> dict[str, int]:
    return found.images.set_index("image_id")["removed_round"].dropna().to_dict()


def test_a_kept_image_with_the_highest_score_does_not_stop_the_rule():
    assert gone(run()) == {"im008": 1, "im007": 2}
    found = run(human=Verdicts(keep=frozenset({"im008"})))
    assert gone(found) == {"im007": 1}
    scored = found.images.set_index("image_id").loc["im008"]
    assert (scored["score"], scored["reviewed"], scored["kept"]) == (by_rank("im008", frozenset()), "keep", 1)


def test_by_hand_alone():
    """Vanilla removes nothing: the refined model is the one that learned all but what the human removed."""
    model, seen = FakeDetector(by_rank), []
    human = Verdicts(remove=frozenset({"im002", "im005"}))
    params = Refine(strategy="vanilla", scorer="in_sample")
    found = refine(
        model, IMAGES, strategies.create(Params(refine=params), COUNT),
        scorers.create(params, model, IMAGES.ids), params, lambda number, m: seen.append(number), human,
    )  # fmt: skip
    rest = tuple(image_id for image_id in IMAGES.ids if image_id not in human.remove)
    assert model.fits == [(rest, False)], "anew, not on top of a model that has learned them"
    assert seen == [0]
    assert (gone(found), found.rounds) == ({"im002": 0, "im005": 0}, 0)
    start = found.history[found.history["round"] == 0]
    assert start[["image_id", "removed", "reviewed"]].values.tolist() == [
        ["im002", 1, "remove"],
        ["im005", 1, "remove"],
    ]
    assert start[["score", "threshold"]].isna().all(axis=None)


def test_what_is_kept_alone_changes_no_model():
    model = FakeDetector(by_rank)
    run("vanilla", Verdicts(keep=frozenset(IMAGES.ids)), model)
    assert not model.fits


def test_a_human_may_go_beyond_min_keep_and_then_no_strategy_removes_more():
    human = Verdicts(remove=frozenset(IMAGES.ids[:6]))
    found = run(human=human, min_keep=0.5)
    assert set(gone(found)) == human.remove
    assert found.stop_reason.endswith(
        "; you removed 6 images, more than refine.min_keep lets a strategy remove"
    )
    assert run("vanilla", human).stop_reason.startswith("vanilla removes nothing; you removed 6 images")
    assert "you removed" not in run(human=Verdicts(remove=frozenset(IMAGES.ids[:2]))).stop_reason


@pytest.mark.parametrize("count", [COUNT - 1, COUNT])
def test_a_detector_needs_two_images(count):
    with pytest.raises(UserError, match=rf"data/review\.csv removes {count} of {COUNT} training images"):
        run(human=Verdicts(remove=frozenset(IMAGES.ids[:count])))


def test_answers_on_images_that_are_gone_are_ignored():
    odd = Verdicts(keep=frozenset({"gone"}), remove=frozenset({"lost"}))
    assert run(human=odd).history.equals(run().history)
    assert run(human=odd).images.equals(run().images)


def test_a_whole_refinement_never_folds_in_what_was_removed(monkeypatch):
    fits = []

    class Watched(FakeDetector):
        def fit(self, images, *, warm_start=False):
            fits.append(set(images.ids))
            return super().fit(images, warm_start=warm_start)

    monkeypatch.setattr(detectors, "create", lambda params: Watched())
    table = pd.DataFrame({"image_id": IMAGES.ids, "path": IMAGES.ids, "split": "train", "in_test": 0})
    human = Verdicts(remove=frozenset({"im000", "im004"}))
    params = Params.model_validate({"refine": {"strategy": "irp", "folds": 2}})
    found = refinement.run(params, table, IMAGES.prepared, IMAGES.prepared, human)
    assert fits
    assert not any(ids & human.remove for ids in fits)
    versions = refinement.cleaned_versions(table, found.outcome)
    assert set(IMAGES.ids) - set(versions[0]["image_id"]) == human.remove
