"""Sentences of the report."""

from __future__ import annotations

from adrefine.metrics import finding
from adrefine.report import notes
from adrefine.strategies.share import Share


def test_what_answers_told_is_not_called_the_photos_alone(data):
    summary = finding.figures(3, Share(0.2, 0.1, 0.3))
    tail = "about 20% are hidden defects (10% to 30%); 3 of 12 photos were removed."
    alone = f"Estimated from the photos alone, without any label: {tail}"
    assert notes.told(summary, data.train) == [alone]
    answered = data.train.assign(reviewed=["remove", *[""] * 11])
    said = f"Estimated from the photos and your answers: {tail}"
    assert notes.told(summary, answered) == [said]
