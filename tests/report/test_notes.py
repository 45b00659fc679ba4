"""Sentences of the report."""

from __future__ import annotations

from adrefine.metrics import finding
from adrefine.report import notes
from adrefine.strategies.share import Share


def test_what_answers_told_is_not_called_the_photos_alone(data):
    summary = finding.figures(3, Share(0.2, 0.1, 0.3))
    alone = "What the photos alone tell, without any label: about 20% hide (10% to 30%), 3 of 12 photos went."
    assert notes.told(summary, data.train) == [alone]
    answered = data.train.assign(reviewed=["remove", *[""] * 11])
    said = "What the photos and your answers tell: about 20% hide (10% to 30%), 3 of 12 photos went."
    assert notes.told(summary, answered) == [said]
