from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adrefine.report import words


def values(data):
    return {card.title: card.value for card in words.cards(data)}


def test_headline_and_cards_say_what_happened(data):
    assert words.headline(data) == "Removed 2 of 3 hidden defects and 1 good photo."
    assert words.subline(data) == ("Detection AUROC 0.812 → 0.938 (better); ceiling 1.000.", "good")
    assert values(data) == {
        "Hidden defects found": "2 of 3",
        "Good photos kept": "8 of 9",
        "Detection AUROC": "0.938",
        "Possible gain reached": "67 %",
        "Test defects caught": "75 %",
    }


def test_harm_is_called_harm(data):
    detection = {"initial": {"auroc": 0.9}, "refined": {"auroc": 0.85}}
    worse = replace(data, metrics={"detection": detection, "cleaning": {"oracle_gap_closed": -0.5}})
    assert words.subline(worse) == ("Detection AUROC 0.900 → 0.850 (worse).", "bad")
    gain = next(card for card in words.cards(worse) if card.title == "Possible gain reached")
    assert (gain.value, gain.meter, gain.tone) == ("-50 %", 0.0, "bad")
    same = replace(data, metrics={"detection": {"initial": {"auroc": 0.9}, "refined": {"auroc": 0.901}}})
    assert words.subline(same) == ("Detection AUROC 0.900 → 0.901 (as before).", "")


def test_what_answers_taught_stands_beside_before_after_and_ceiling(data):
    detection = {**data.metrics["detection"], "taught": {"auroc": 0.95}}
    told = words.cards(replace(data, metrics={**data.metrics, "detection": detection}))
    card = next(card for card in told if card.title == "Detection AUROC")
    assert card.detail == "0.812 before cleaning, 0.950 taught by your answers, 1.000 with no defect hidden"


def test_more_than_the_ceiling_is_called_chance(data):
    lucky = replace(data, metrics={**data.metrics, "cleaning": {"oracle_gap_closed": 1.83}})
    gain = next(card for card in words.cards(lucky) if card.title == "Possible gain reached")
    assert (gain.value, gain.meter) == ("183 %", 1.0)
    assert "by chance" in gain.detail


def test_without_labels_nothing_is_claimed_about_right_or_wrong(unlabelled):
    assert words.headline(unlabelled) == "Removed 3 of 12 training photos as suspicious."
    assert values(unlabelled) == {"Photos left to train on": "9 of 12"}
    nothing = replace(unlabelled, train=unlabelled.train.assign(kept=1))
    assert words.headline(nothing) == "Removed 0 of 12 training photos: none looked suspicious."


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (["remove", "keep", "", ""], "photos as suspicious, 1 of them as you answered."),
        (["remove", "remove", "keep", "remove"], "photos, as you answered."),
    ],
)
def test_what_you_removed_is_not_called_suspicious(unlabelled, answers, says):
    train = unlabelled.train.assign(reviewed=[*answers, *[""] * 8])
    assert words.headline(replace(unlabelled, train=train)) == f"Removed 3 of 12 training {says}"


def test_nothing_hidden_is_not_reported_as_a_failure(data):
    clean = replace(data, train=data.train.assign(injected=0, label=0))
    assert words.headline(clean) == "Removed 3 of 12 training photos, all labelled good."
    assert "Hidden defects found" not in values(clean)


def test_removal_order_is_by_round_then_score_then_id(data):
    shuffled = data.train.sample(frac=1, random_state=1)
    assert list(words.in_order_of_removal(shuffled)["image_id"]) == ["train00", "train01", "train03"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.004, "0.4 %"), (0.5, "50 %"), (0.988, "98.8 %"), (1, "100 %"), (2.8, "280 %")],
)
def test_percentages_keep_a_decimal_only_near_the_ends(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(np.nan, "–"), (np.inf, "–"), (1.333, "1.33"), (12345.6, "12,346"), (-0.5, "-0.5")]
)
def test_numbers_are_short(value, text):
    assert words.number(value) == text
