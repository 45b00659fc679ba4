"""How well image scores tell defective from good photos. A higher score means more suspicious.

Exact in numpy, ties included (scikit-learn's metrics take 1.5 s to import). A threshold is always given from
outside: it comes from held-out good photos (`conformal_threshold`), never from the photos it is measured on.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adrefine.errors import UserError

_ROUNDING = 1e-9  # (n + 1)(1 − fpr) of 93.00000000000001 is 93, not 94


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Chance that a random defective photo scores over a random good one; a tie counts half.

    Args:
        labels: (n,) 0 good, 1 defective.
        scores: (n,) image scores, no NaN.
    Raises:
        UserError: a NaN score, a label other than 0 and 1, or only one class.
    """
    true, false = _both_classes(labels, scores, "AUROC")
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1])) / (2 * true[-1] * false[-1]))


def aupr(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: precision at each distinct score, weighted by the recall gained. See `auroc`."""
    true, false = _both_classes(labels, scores, "average precision")
    precision = true[1:] / (true[1:] + false[1:])
    return float(np.sum(np.diff(true) * precision) / true[-1])


def f1_max(labels: ArrayLike, scores: ArrayLike) -> float:
    """Highest F1 over all thresholds, the papers' figure: it looks at the test labels. See `auroc`."""
    true, false = _both_classes(labels, scores, "F1")
    return float(np.max(2 * true / (true + false + true[-1])))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False- and true-positive rates from (0, 0) to (1, 1), a point per distinct score. See `auroc`."""
    true, false = _both_classes(labels, scores, "a ROC curve")
    return false / false[-1], true / true[-1]


def conformal_threshold(good_scores: ArrayLike, target_fpr: float, parts: ArrayLike | None = None) -> float:
    """Threshold that a new good photo passes (score > threshold) with a chance of at most `target_fpr`.

    The ⌈(n + 1)(1 − target_fpr)⌉-th smallest score (split conformal prediction, Vovk 2005); the largest one
    if that is beyond n: so few photos cannot promise so low a rate.

    Args:
        good_scores: (n,) scores of good photos held out of training.
        target_fpr: between 0 and 1, both excluded.
        parts: (n,) the part of each photo; None: each shows another one. Shots of one part do not come apart:
            parts are counted, each with the highest score of its shots.
    Raises:
        UserError: no score, a NaN, or an impossible rate.
    """
    scores = np.asarray(good_scores, dtype=np.float64).ravel()
    if parts is not None:
        _, part = np.unique(np.asarray(parts, dtype=str), return_inverse=True)
        each = np.full(part.max(initial=-1) + 1, -np.inf)
        np.maximum.at(each, part, scores)
        scores = each
    scores = np.sort(scores)
    if not 0 < target_fpr < 1:
        raise UserError(f"target_fpr = {target_fpr}: must lie between 0 and 1")
    if not len(scores):
        raise UserError("no held-out good photo to set the decision threshold: raise dataset.val_fraction")
    _refuse_nan(scores)
    rank = ceil((len(scores) + 1) * (1 - target_fpr) - _ROUNDING)
    return float(scores[min(rank, len(scores)) - 1])


def at_threshold(labels: ArrayLike, scores: ArrayLike, threshold: float) -> dict[str, float]:
    """`mcc`, `recall`, `fpr` when photos scoring over `threshold` are rejected.

    What is undefined is left out: recall without a defective photo, fpr without a good one, mcc without both.
    An mcc whose denominator vanishes (everything or nothing rejected) is 0, as in scikit-learn.
    """
    defect, values = _checked(labels, scores)
    if np.isnan(threshold):
        raise UserError("the decision threshold is NaN")
    rejected = values > threshold
    tp, fp = int(np.sum(rejected & defect)), int(np.sum(rejected & ~defect))
    fn, tn = int(np.sum(defect)) - tp, int(np.sum(~defect)) - fp
    figures: dict[str, float] = {}
    if tp + fn and fp + tn:
        scale = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        figures["mcc"] = (tp * tn - fp * fn) / sqrt(scale) if scale else 0.0
    if tp + fn:
        figures["recall"] = tp / (tp + fn)
    if fp + tn:
        figures["fpr"] = fp / (fp + tn)
    return figures


def detection_metrics(labels: ArrayLike, scores: ArrayLike, threshold: float) -> dict[str, float]:
    """`auroc, aupr, f1_max` over all thresholds and `mcc, recall, fpr` at the given one.

    Args:
        labels: (n,) 0 good, 1 defective.
        scores: (n,) image scores.
        threshold: decision threshold, from held-out good photos.
    Returns:
        All six with both classes present; else only those that are defined (see `at_threshold`).
    Raises:
        UserError: a NaN, or a label other than 0 and 1.
    """
    decided = at_threshold(labels, scores, threshold)
    if "mcc" not in decided:
        return decided
    ranking = {"auroc": auroc(labels, scores), "aupr": aupr(labels, scores), "f1_max": f1_max(labels, scores)}
    return {**ranking, **decided}


def _both_classes(labels: ArrayLike, scores: ArrayLike, what: str) -> tuple[NDArray, NDArray]:
    """Counts of defective and of good photos at or over each distinct score, the highest first, from 0."""
    defect, values = _checked(labels, scores)
    if defect.all() or not defect.any():
        only = "defective" if defect.any() else "good"
        raise UserError(f"{what} needs good and defective photos; all {len(defect)} are {only}")
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    last_of_tie = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    true = np.cumsum(defect[order], dtype=np.int64)[last_of_tie]
    false = last_of_tie + 1 - true
    return np.concatenate([[0], true]), np.concatenate([[0], false])


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    kinds, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if kinds.shape != values.shape or kinds.ndim != 1:
        raise UserError(f"labels {kinds.shape} and scores {values.shape} must be lists of the same length")
    if not len(kinds):
        raise UserError("no photo to measure on")
    if not np.isin(kinds, (0, 1)).all():
        raise UserError("labels must be 0 (good) or 1 (defective); leave unknown ones out")
    _refuse_nan(values)
    return kinds.astype(bool), values


def _refuse_nan(scores: NDArray[np.float64]) -> None:
    broken = int(np.isnan(scores).sum())
    if broken:
        raise UserError(f"{broken} of {len(scores)} scores are NaN: the detector's training diverged")
