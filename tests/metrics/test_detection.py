from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.errors import UserError
from adrefine.metrics.detection import (
    aupr,
    auroc,
    conformal_threshold,
    detection_metrics,
    f1_max,
    roc_curve,
)

# Few distinct values make ties common; the infinities and tiny differences must rank like any other score.
scores = st.sampled_from([-np.inf, -3.0, -1.0, -0.0, 0.0, 1e-300, 0.5, 0.5 + 1e-15, 1.0, 7.0, np.inf])
both_classes = st.lists(st.tuples(st.integers(0, 1), scores), min_size=2, max_size=25).filter(
    lambda rows: 0 < sum(label for label, _ in rows) < len(rows)
)


def split(rows):
    return [label for label, _ in rows], [score for _, score in rows]


def precision_recall_at(rows, threshold):
    picked = [label for label, score in rows if score >= threshold]
    return sum(picked) / len(picked), sum(picked) / sum(label for label, _ in rows)


@given(both_classes)
def test_auroc_is_the_share_of_pairs_ranked_right(rows):
    defects = [score for label, score in rows if label]
    goods = [score for label, score in rows if not label]
    pairs = [(d > g) + 0.5 * (d == g) for d in defects for g in goods]
    assert auroc(*split(rows)) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@given(both_classes)
def test_aupr_and_f1_match_a_loop_over_thresholds(rows):
    area, last_recall, best = 0.0, 0.0, 0.0
    for threshold in sorted({score for _, score in rows}, reverse=True):
        precision, recall = precision_recall_at(rows, threshold)
        area, last_recall = area + precision * (recall - last_recall), recall
        best = max(best, 2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    assert aupr(*split(rows)) == pytest.approx(area, abs=1e-12)
    assert f1_max(*split(rows)) == pytest.approx(best, abs=1e-12)


@given(both_classes, scores)
def test_figures_at_the_threshold_match_the_confusion_table(rows, threshold):
    table = {(label, said): 0 for label in (0, 1) for said in (0, 1)}
    for label, score in rows:
        table[label, int(score > threshold)] += 1
    tp, fn, fp, tn = table[1, 1], table[1, 0], table[0, 1], table[0, 0]
    figures = detection_metrics(*split(rows), threshold)
    assert list(figures) == ["auroc", "aupr", "f1_max", "mcc", "recall", "fpr"]
    assert figures["recall"] == tp / (tp + fn)
    assert figures["fpr"] == fp / (fp + tn)
    scale = sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert figures["mcc"] == pytest.approx((tp * tn - fp * fn) / scale if scale else 0.0, abs=1e-12)
    assert figures["f1_max"] >= 2 * tp / (2 * tp + fp + fn) - 1e-12


@given(both_classes)
def test_roc_curve_rises_from_corner_to_corner_over_its_own_area(rows):
    fpr, tpr = roc_curve(*split(rows))
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= 0).all()
    assert np.trapezoid(tpr, fpr) == pytest.approx(auroc(*split(rows)), abs=1e-12)


def test_figures_agree_with_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(0)
    labels, values = rng.integers(0, 2, 500), rng.normal(size=500).round(1)
    assert auroc(labels, values) == pytest.approx(metrics.roc_auc_score(labels, values), abs=1e-12)
    assert aupr(labels, values) == pytest.approx(metrics.average_precision_score(labels, values), abs=1e-12)
    mcc = metrics.matthews_corrcoef(labels, values > 0.3)
    assert detection_metrics(labels, values, 0.3)["mcc"] == pytest.approx(mcc, abs=1e-12)


@given(st.lists(scores, min_size=1, max_size=60), st.integers(1, 99))
def test_conformal_threshold_is_the_promised_order_statistic(values, percent):
    # Whole percents keep the rank exact: ceil((n + 1)(100 - percent) / 100).
    rank = -(-(len(values) + 1) * (100 - percent) // 100)
    assert conformal_threshold(values, percent / 100) == sorted(values)[min(rank, len(values)) - 1]


@settings(max_examples=30)
@given(st.integers(5, 40), st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_conformal_threshold_keeps_its_promise(n, target):
    """Of n + 1 exchangeable scores each is the new one equally often: few may be rejected."""
    everyone = list(np.random.default_rng(n).permutation(n + 1).astype(float))
    rejected = sum(
        new > conformal_threshold(everyone[:i] + everyone[i + 1 :], target) for i, new in enumerate(everyone)
    )
    reachable = max(target, 1 / (n + 1))  # the largest of n scores is passed once in n + 1
    assert rejected / (n + 1) <= reachable + 1e-12


@pytest.mark.parametrize(
    ("labels", "values", "says"),
    [
        ([0, 0], [1, 2], "all 2 are good"),
        ([1, 1], [1, 2], "all 2 are defective"),
        ([0, 1], [1, np.nan], "1 of 2 scores are NaN"),
        ([0, -1], [1, 2], "leave unknown ones out"),
        ([0, 1, 1], [1, 2], "same length"),
        ([], [], "no photo"),
    ],
)
@pytest.mark.parametrize("metric", [auroc, aupr, f1_max, roc_curve])
def test_what_cannot_be_measured_is_refused_clearly(metric, labels, values, says):
    with pytest.raises(UserError, match=says):
        metric(labels, values)


def test_undefined_figures_are_left_out():
    assert detection_metrics([0, 0, 0, 0], [1, 2, 3, 4], 3) == {"fpr": 0.25}
    assert detection_metrics([1, 1], [1, 4], 3) == {"recall": 0.5}
    with pytest.raises(UserError, match="NaN"):
        detection_metrics([0, 1], [1, 2], np.nan)


@pytest.mark.parametrize(
    ("values", "rate", "says"),
    [([], 0.1, "val_fraction"), ([1.0], 0, "target_fpr"), ([1.0], 1, "target_fpr"), ([np.nan], 0.1, "NaN")],
)
def test_impossible_thresholds_are_refused(values, rate, says):
    with pytest.raises(UserError, match=says):
        conformal_threshold(values, rate)


def test_a_part_counts_once_whatever_its_shots() -> None:
    """Nine parts promise a tenth: the highest shot of each, the ninth of ten ranks."""
    scores, parts = [*range(1, 10), 20, 30], [*"abcdefghi", "a", "b"]
    assert conformal_threshold(scores, 0.2, parts) == 20
    assert conformal_threshold(scores, 0.2, [str(n) for n in range(11)]) == conformal_threshold(scores, 0.2)
