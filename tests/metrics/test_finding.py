from __future__ import annotations

import pytest

from adrefine.metrics import finding
from adrefine.strategies.share import Share

LITTLE, MUCH, SOME = Share(0.02, 0.0, 0.18), Share(0.2, 0.1, 0.36), Share(0.12, 0.0, 0.28)


@pytest.mark.parametrize(
    ("removed", "share", "code"),
    [(0, LITTLE, 0), (0, SOME, 2), (0, MUCH, 2), (0, None, 2), (3, LITTLE, 1), (3, None, 1)],
)
def test_three_outcomes(removed, share, code):
    assert finding.outcome(removed, share) == code


def test_figures_are_those_of_metrics_json():
    assert finding.figures(0, None) == {"outcome": 2}
    assert finding.figures(1, MUCH) == {"outcome": 1, "share": {"estimate": 0.2, "low": 0.1, "high": 0.36}}


@pytest.mark.parametrize(
    ("removed", "share", "said"),
    [
        (0, LITTLE, "clean, as far as can be seen: nothing stands out; 0% to 18% may be hidden defects"),
        (7, MUCH, "about 20% are hidden defects (10% to 36%); 7 of 115 photos were removed"),
        (1, MUCH, "about 20% are hidden defects (10% to 36%); 1 of 115 photos was removed"),
        (
            0,
            SOME,
            "cannot tell how many of these photos are hidden defects (about 12%, 0% to 28%): judge",
        ),
        (
            0,
            None,
            "cannot tell how many of these photos are hidden defects: judge the first 20 photos",
        ),
        (
            7,
            None,
            "7 of 115 photos were removed; the share of hidden defects is unknown: judge the first 20",
        ),
    ],
)
def test_what_is_said(removed, share, said):
    sentence = finding.sentence(finding.figures(removed, share), removed, 115)
    assert sentence.startswith(said)
    assert ("refine.contamination" in sentence) == ("judge" in said)


def test_no_more_answers_are_asked_for_than_there_are_photos():
    assert "first 12 photos" in finding.sentence({"outcome": 2}, 0, 12)
