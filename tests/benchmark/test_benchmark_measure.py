from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adrefine.areas.region import Region
from adrefine.benchmark import measure
from adrefine.benchmark.measure import ceiling, ceiling_scores, precision_at_defects
from adrefine.params import parse
from fakes import FakeDetector


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=6))
def test_precision_at_their_number_is_the_mean_over_every_order_of_equal_scores(items):
    flags, scores = [flag for flag, _ in items], [score for _, score in items]
    k = sum(flags)
    if not k:
        return
    orders = [
        order
        for order in permutations(range(len(items)))
        if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    expected = np.mean([sum(flags[place] for place in order[:k]) / k for order in orders])
    assert precision_at_defects(flags, scores) == pytest.approx(expected)


def test_the_ceiling_scores_each_good_photo_by_a_model_that_did_not_see_it():
    """A photo that was seen scores 0, a good one that was not 1, a hidden defect more than 1."""
    ids = (*(f"good{number}" for number in range(10)), "bad0", "bad1")
    learned = []

    def rule(image_id, seen):
        assert not any(name.startswith("bad") for name in seen)
        learned.append(seen)
        return 2.0 if image_id.startswith("bad") else float(image_id not in seen)

    clean = ids[:10]
    oracle = FakeDetector(rule)
    found = ceiling_scores(oracle, ids, clean, Path("nowhere"), 5, 0)
    assert found.to_dict() == {name: 2.0 if name.startswith("bad") else 1.0 for name in ids}
    assert ceiling(found, clean) == {"ceiling_rank_auroc": 1.0, "ceiling_precision_at_defects": 1.0}
    assert {len(seen) for seen in learned} == {8}
    assert not oracle.fits  # clones learned

    def blind(image_id, seen):
        return 0.5 if image_id.startswith("bad") else float(image_id not in seen)

    missed = ceiling_scores(FakeDetector(blind), ids, clean, Path("nowhere"), 5, 0)
    assert ceiling(missed, clean)["ceiling_rank_auroc"] == 0.0


def test_there_is_no_ceiling_without_hidden_defects_or_with_too_few_clean_photos():
    three = ("a", "b", "c")

    def scores(ids, clean):
        return ceiling_scores(FakeDetector(), ids, clean, Path("nowhere"), 5, 0)

    assert scores(three, three).empty
    assert ceiling(scores(three, three), three) == {}
    assert scores((*three, "d"), three).empty
    assert len(scores((*three, "d", "e"), (*three, "d"))) == 5


def test_the_limit_trains_without_as_many_of_the_highest_scores_as_are_hidden(monkeypatch):
    """The ceiling takes one good photo for the second hidden defect: the detector learns the others."""
    learned = []
    monkeypatch.setattr(measure, "fit", lambda params, ids, noisy, features: learned.append(ids))
    monkeypatch.setattr(measure, "tested", lambda model, noisy, features: {"auroc": 0.9, "aupr": 0.8})
    scores = pd.Series({"bad0": 3.0, "good0": 2.0, "bad1": 1.5, "good1": 1.0, "good2": 0.5})
    clean = ("good0", "good1", "good2")
    found = measure.limit(parse({}), scores, clean, pd.DataFrame(), Path("nowhere"))
    assert found == {"ceiling_auroc": 0.9}
    assert learned == [("bad1", "good1", "good2")]
    nothing = pd.Series(dtype=float)
    assert measure.limit(parse({}), nothing, clean, pd.DataFrame(), Path("nowhere")) == {}
    assert len(learned) == 1


def test_au_pro_is_of_half_defective_test_photos_with_masks_and_counts_the_region_alone(tmp_path):
    """A map that is the mask scores 1; one that is odd elsewhere as well 1 only where that does not count."""
    mask = np.zeros((20, 20), np.uint8)
    mask[2:5, 2:5] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(mask * 0).save(tmp_path / "photo.png")
    rows = [(f"bad{n}", "test", 1, str(tmp_path / "mask.png")) for n in range(5)]
    rows += [("bare", "test", 1, "")] + [(f"good{n}", "test", 0, "") for n in range(5)]
    noisy = pd.DataFrame(rows, columns=["image_id", "split", "label", "mask_path"])
    noisy = noisy.assign(in_test=1, path=str(tmp_path / "photo.png"))
    asked = []

    class Draws(FakeDetector):
        def maps(self, images, files):
            asked.append(images.ids)
            return np.stack([np.maximum(mask * (name < "c"), elsewhere) / 255.0 for name in images.ids])

    inputs = tmp_path / "prepared"
    elsewhere = mask * 0
    assert measure.localized(Draws(), None, noisy, inputs, 6) == {"aupro": 1.0}
    assert sorted(name[:3] for name in asked[0]) == ["bad"] * 3 + ["goo"] * 3
    elsewhere = np.zeros_like(mask)
    elsewhere[:, 10:] = 255
    assert measure.localized(Draws(), None, noisy, inputs, 6)["aupro"] < 0.5
    inside = np.zeros((20, 20), bool)
    inside[:, :10] = True
    (tmp_path / "ingested").mkdir()
    Region(inside).picture().save(tmp_path / "ingested/roi.png")
    assert measure.localized(Draws(), None, noisy, inputs, 6) == {"aupro": 1.0}


def test_there_is_no_au_pro_unless_it_is_asked_for_and_there_are_masks():
    noisy = pd.DataFrame({"image_id": ["a", "b"], "label": [0, 1], "in_test": 1, "mask_path": "", "path": ""})
    for count in (0, 6):
        assert measure.localized(FakeDetector(), None, noisy, Path("nowhere"), count) == {}


def test_a_model_that_learns_from_real_defects_knows_those_that_are_left_over(monkeypatch):
    """With the files of their masks; none that is hidden or tested."""
    told = []

    class Knows(FakeDetector):
        def know(self, defects, weight=1.0):
            told.append((defects.ids, dict(defects.masks)))

    monkeypatch.setattr(measure.detectors, "create", lambda params: Knows())
    rows = [
        ("hidden", "train", 1, 0),
        ("left", "pool", 0, 0),
        ("tested", "test", 0, 1),
        ("bare", "pool", 0, 0),
    ]
    noisy = pd.DataFrame(rows, columns=["image_id", "split", "injected", "in_test"])
    noisy = noisy.assign(label=1, part="", defect_type="spot", mask_path=noisy["image_id"] + ".png")
    noisy.loc[3, "mask_path"] = ""
    model = measure.fit(parse({"detector": "mixed"}), ("a", "b"), noisy, Path("nowhere"))
    assert told == [(("bare", "left"), {"left": "left.png"})]
    assert model.fits == [(("a", "b"), False)]
    measure.fit(parse({"detector": "padim"}), ("a", "b"), noisy, Path("nowhere"))
    assert told[1:] == [((), {})]
