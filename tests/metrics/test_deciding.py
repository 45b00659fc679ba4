"""Counts at a threshold, the threshold of the highest F1, and published figures from their counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.benchmark import published
from adrefine.datasets.isp_ad import ISPAD
from adrefine.metrics.deciding import decided, f1_threshold, recall_by_type, side_by_side
from adrefine.metrics.detection import f1_max

PHOTOS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=30).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def f1(labels: list[int], scores: list[float], threshold: float) -> float:
    return decided(labels, scores, threshold)["f1"]


@given(PHOTOS)
def test_no_threshold_has_a_higher_f1(rows: list[tuple[bool, int]]) -> None:
    labels, scores = [int(label) for label, _ in rows], [float(score) for _, score in rows]
    assert f1(labels, scores, f1_threshold(labels, scores)) == pytest.approx(f1_max(labels, scores))


def test_counts_and_rates() -> None:
    found = decided([1, 1, 1, 0, 0], [3, 2, 1, 2, 0], 1.5)
    assert found == {"mcc": pytest.approx(1 / 6), "recall": 2 / 3, "fpr": 0.5, "precision": 2 / 3} | {
        **{"f1": 2 / 3, "accuracy": 3 / 5, "tp": 2, "fp": 1, "fn": 1, "tn": 1}
    }
    assert "precision" not in decided([0, 1], [0, 1], 5)
    assert decided([0, 1], [0, 1], 5)["f1"] == 0
    assert "f1" not in decided([0, 0], [0, 1], 5)


@given(PHOTOS, st.integers(-1, 7))
@settings(deadline=None)  # the first call imports scikit-learn
def test_precision_f1_and_accuracy_are_scikit_learns(rows: list[tuple[bool, int]], threshold: int) -> None:
    from sklearn import metrics

    labels, scores = [int(label) for label, _ in rows], [score for _, score in rows]
    found, said = decided(labels, scores, threshold), [int(score > threshold) for score in scores]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, said))
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, said, zero_division=0))
    if any(said):
        assert found["precision"] == pytest.approx(metrics.precision_score(labels, said))


def test_three_thresholds_come_from_three_places() -> None:
    test, validation = ([0, 0, 1, 1], [1.0, 2, 3, 4]), ([0, 0, 1, 1], [0.0, 1, 9, 9])
    found = side_by_side(test, 3.5, validation)
    assert {name: at["threshold"] for name, at in found.items()} == {
        **{"conformal": 3.5, "validation_f1": 5.0, "test_f1": 2.5}
    }
    assert [at["recall"] for at in found.values()] == [0.5, 0.0, 1.0]
    assert set(side_by_side(test, 3.5, None)) == {"conformal", "test_f1"}


def test_recall_of_each_type() -> None:
    kinds = np.array(["points", "area", "points", ""])
    assert recall_by_type(kinds, [1, 3, 3, 0], 2) == {"points": 0.5, "area": 1.0, "unnamed": 0.0}


def test_published_figures_follow_from_their_counts() -> None:
    """MCC, recall and false-positive rate of every row of ISP tables 2 and 3, to half a printed digit (.97
    of ASM with 36 real defects is .9647)."""
    rows = [row for table in published.read().mixed.values() for row in table]
    assert len(rows) == 16
    for row in rows:
        labels = np.repeat([0, 1, 1, 0], [row.tn, row.tp, row.fn, row.fp])
        scores = np.repeat([0.0, 1.0, 0.0, 1.0], [row.tn, row.tp, row.fn, row.fp])
        found = decided(labels, scores, 0.5)
        printed = (row.mcc, row.recall, row.fpr)
        rates = [found["mcc"], 100 * found["recall"], 100 * found["fpr"]]
        assert (np.abs(np.subtract(rates, printed)) < (0.0055, 0.051, 0.051)).all(), row


def test_published_figures_of_unsupervised_methods_follow_from_their_counts() -> None:
    """Of ISP tables 4 to 6, whose test patches the layout counts."""
    for modality, rows in published.read().unsupervised.items():
        _, good, defects = ISPAD.counts[modality]
        assert len(rows) == 4
        for row in rows:
            assert row.tp + row.fn == defects
            counts = [good - row.fp, row.tp, row.fn, row.fp]
            labels, scores = np.repeat([0, 1, 1, 0], counts), np.repeat([0.0, 1.0, 0.0, 1.0], counts)
            found = decided(labels, scores, 0.5)
            printed = (row.mcc, row.recall, row.fpr, row.precision)
            rates = [found["mcc"], *(100 * found[name] for name in ("recall", "fpr", "precision"))]
            assert (np.abs(np.subtract(rates, printed)) < (0.0055, 0.051, 0.051, 0.051)).all(), row
