"""No worse on the same held-out photos: what is compared, what is left out, and what decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.manifest import DEFECT, GOOD, UNKNOWN
from adrefine.params import Promotion
from adrefine.serving.promotion import Record, Verdict, held_out, judge

SECTION = Promotion(min_photos=3)


def photos(goods: int, defects: int, vals: int = 4) -> pd.DataFrame:
    """Held-out photos g0 g1 … d0 d1 … v0 v1 …"""
    rows = [(f"g{n}", "test", GOOD) for n in range(goods)] + [
        (f"d{n}", "test", DEFECT) for n in range(defects)
    ]
    rows += [(f"v{n}", "val", GOOD) for n in range(vals)]
    return pd.DataFrame(rows, columns=["image_id", "split", "label"])


def record(held: pd.DataFrame, good_over: int = 0, likely: float = 1.0, name: str = "new") -> Record:
    """A model that scores its first `good_over` good photos over all defective ones."""
    score = [
        9.0 if row.image_id in {f"g{n}" for n in range(good_over)} else 5.0 if row.label == DEFECT else 1.0
        for row in held.itertuples()
    ]
    scores = pd.DataFrame({"image_id": held["image_id"], "score": score, "likelihood": likely})
    return Record(name, "features", scores)


def verdict(new: Record, old: Record | None, held: pd.DataFrame, section: Promotion = SECTION) -> Verdict:
    return judge(section, held, new, old)


def test_the_first_model_is_promoted_with_its_figure() -> None:
    held = photos(4, 4)
    found = verdict(record(held, good_over=1), None, held)
    assert (found.promote, found.best, found.measure, found.value) == (True, True, "auroc", 0.75)
    assert (found.reference, found.good, found.defective) == (None, 4, 4)
    assert "nothing was promoted before" in found.reason


def test_the_first_model_is_promoted_without_a_figure_too() -> None:
    held = photos(0, 0, 0)
    assert verdict(record(held), None, held) == Verdict(
        True, "the first one: nothing was promoted before", True, "likelihood", None, None, 0, 0
    )


@pytest.mark.parametrize(
    ("new_over", "tolerance", "promote", "best", "words"),
    [
        (0, 0.0, True, True, "no worse: AUROC 1.0000, 0001 0.7500"),
        (1, 0.0, True, True, "no worse: AUROC 0.7500, 0001 0.7500"),
        (2, 0.0, False, False, "worse by more than promotion.tolerance = 0: AUROC 0.5000, 0001 0.7500"),
        (2, 0.25, True, False, "worse, but within promotion.tolerance = 0.25: AUROC 0.5000, 0001 0.7500"),
        (2, 0.2, False, False, "worse by more than promotion.tolerance = 0.2"),
    ],
)
def test_the_figure_decides_and_the_reason_says_it(
    new_over: int, tolerance: float, promote: bool, best: bool, words: str
) -> None:
    held = photos(4, 4)
    section = Promotion(min_photos=3, tolerance=tolerance)
    found = verdict(record(held, new_over), record(held, 1, name="0001"), held, section)
    assert (found.promote, found.best) == (promote, best)
    assert found.reason.startswith(words)
    assert (found.value, found.reference) == (1 - new_over / 4, 0.75)


def test_only_photos_that_both_have_not_learned_are_compared() -> None:
    """Of old, hard photos that only the promoted model was measured on, and of new ones, nothing counts."""
    held = photos(6, 6)
    both = held[~held["image_id"].isin(["g0", "g1", "d0"])]
    new = record(held, good_over=2)  # wrong on g0 and g1, which the old one has learned
    found = verdict(new, record(both, name="0001"), held)
    assert (found.value, found.reference, found.good, found.defective) == (1.0, 1.0, 4, 5)
    extra = record(photos(20, 6), good_over=0, name="0001")
    assert verdict(record(held), extra, held).good == 6


def test_new_photos_change_neither_figure() -> None:
    """What arrives after the promotion is in no record of the promoted model."""
    held, more = photos(4, 4), photos(14, 4)
    old = record(held, 1, name="0001")
    before = verdict(record(held, 2), old, held)
    scores = record(more, 2).scores
    scores.loc[scores["image_id"].isin([f"g{n}" for n in range(4, 14)]), "score"] = 99.0
    after = verdict(Record("new", "features", scores), old, more)
    assert after == before


def test_the_labels_of_today_count() -> None:
    """A photo that turned out defective is defective for both."""
    held = photos(4, 4)
    old = record(held, 1, name="0001")
    mended = held.assign(label=held["label"].mask(held["image_id"] == "g0", DEFECT))
    found = verdict(record(held), old, mended)
    assert found.reference == 1.0
    assert found.value == pytest.approx(0.9)  # of 15 pairs 12 right, 3 undecided


@pytest.mark.parametrize(("goods", "defects"), [(2, 6), (6, 2)])
def test_too_few_photos_decide_nothing(goods: int, defects: int) -> None:
    held = photos(goods, defects)
    found = verdict(record(held), record(held, name="0001"), held)
    assert not found.promote
    assert f"{goods} good and {defects} defective photos are held out from both" in found.reason
    assert "promotion.min_photos = 3" in found.reason


def test_without_labels_the_median_likelihood_decides() -> None:
    """One hidden defect among the held-out photos, however unlikely, says nothing."""
    held = photos(0, 0, 5).assign(label=UNKNOWN)
    new, old = record(held, likely=1.2), record(held, likely=1.1, name="0001")
    new.scores.loc[0, "likelihood"] = -1e6
    found = verdict(new, old, held)
    assert (found.promote, found.measure, found.value, found.reference) == (True, "likelihood", 1.2, 1.1)
    assert "median log-likelihood 1.2000, 0001 1.1000, both on the same 5 held-out photos" in found.reason
    assert not verdict(old, new, held).promote


def test_the_likelihood_can_be_asked_for() -> None:
    held = photos(4, 4)
    section = Promotion(min_photos=3, measure="likelihood")
    found = verdict(record(held, 3, likely=2.0), record(held, 0, likely=1.0, name="0001"), held, section)
    assert (found.promote, found.value, found.good, found.defective) == (True, 2.0, 4, 0)


def test_likelihoods_of_other_inputs_do_not_compare_but_ranks_do() -> None:
    held, unlabelled = photos(4, 4), photos(0, 0, 5).assign(label=UNKNOWN)
    for rows, comparable in ((held, True), (unlabelled, False)):
        new = record(rows)
        found = verdict(new, Record("0001", "other features", new.scores), rows)
        assert found.promote == comparable
    assert "other inputs or another detector" in found.reason


def test_a_detector_without_likelihood_cannot_be_judged_without_labels() -> None:
    held = photos(0, 0, 5).assign(label=UNKNOWN)
    found = verdict(record(held, likely=float("nan")), record(held, name="0001"), held)
    assert not found.promote
    assert "only differnet" in found.reason


@given(st.data())
def test_nothing_but_the_shared_photos_order_matters(data: st.DataObject) -> None:
    """A brute-force AUROC over pairs agrees, and so does any rescaling of one model's scores."""
    goods, defects = data.draw(st.integers(3, 6)), data.draw(st.integers(3, 6))
    held = photos(goods, defects)
    draw = st.lists(st.integers(0, 5), min_size=len(held), max_size=len(held))
    new, old = (
        Record(name, "f", held[["image_id"]].assign(score=np.array(data.draw(draw), float), likelihood=0.0))
        for name in ("new", "0001")
    )
    section = Promotion(min_photos=1, tolerance=data.draw(st.sampled_from([0.0, 0.1])))
    found = judge(section, held, new, old)
    expected = [_pairs(held, model.scores["score"].to_numpy()) for model in (new, old)]
    assert [found.value, found.reference] == pytest.approx(expected)
    if abs(expected[0] - expected[1] + section.tolerance) > 1e-9:
        assert found.promote == (expected[0] >= expected[1] - section.tolerance)
    scaled = Record("new", "f", new.scores.assign(score=new.scores["score"] * 7 + 3))
    assert judge(section, held, scaled, old) == found


def _pairs(held: pd.DataFrame, scores: np.ndarray) -> float:
    good, defect = (scores[(held["split"] == "test") & (held["label"] == label)] for label in (GOOD, DEFECT))
    wins = [1.0 if d > g else 0.5 if d == g else 0.0 for d in defect for g in good]
    return sum(wins) / len(wins)


def test_held_out_are_test_and_threshold_photos_that_nobody_learns_and_somebody_knows() -> None:
    inbox = "train/good/inbox-0123456789abcdef-a.png"
    rows = [
        ("a", "test", GOOD, 1, "test/good/a.png"),
        ("b", "test", DEFECT, 1, "test/x/b.png"),
        ("c", "train", DEFECT, 1, "test/x/c.png"),  # hidden and tested, as with noise.mode = overlap
        ("d", "val", GOOD, 0, "train/good/d.png"),
        ("e", "val", GOOD, 0, inbox),
        ("f", "test", GOOD, 1, inbox),
        ("g", "train", GOOD, 0, "train/good/g.png"),
        ("h", "pool", DEFECT, 0, "test/x/h.png"),
    ]
    refined = pd.DataFrame(rows, columns=["image_id", "split", "label", "in_test", "source"])
    found = held_out(refined.sample(frac=1, random_state=0))
    assert found.values.tolist() == [["a", "test", GOOD], ["b", "test", DEFECT], ["d", "val", GOOD]]
