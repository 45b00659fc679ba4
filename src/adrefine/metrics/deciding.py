"""What a detector decides at a threshold, and at three thresholds side by side, each from other photos."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adrefine.metrics.detection import at_threshold

UNNAMED = "unnamed"  # the type of a defect that nobody named
Labelled = tuple[ArrayLike, ArrayLike]  # labels (n,), 1 for a defect, and scores (n,)


def decided(labels: ArrayLike, scores: ArrayLike, threshold: float) -> dict[str, float]:
    """`at_threshold` with `accuracy` and the counts `tp, fp, fn, tn`; `precision` where anything is rejected,
    `f1` where anything is, or is a defect."""
    defect, rejected = np.asarray(labels) == 1, np.asarray(scores) > threshold
    counts = {
        "tp": int((defect & rejected).sum()),
        "fp": int((~defect & rejected).sum()),
        "fn": int((defect & ~rejected).sum()),
        "tn": int((~defect & ~rejected).sum()),
    }
    figures = at_threshold(labels, scores, threshold)
    figures["accuracy"] = (counts["tp"] + counts["tn"]) / len(defect)
    if rejected.any():
        figures["precision"] = counts["tp"] / int(rejected.sum())
    if (rejected | defect).any():
        figures["f1"] = 2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"])
    return {**figures, **counts}


def f1_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The threshold of the highest F1 (score > threshold is rejected), the highest of several such ones: half
    way between the last score that is rejected and the next one.

    Args:
        labels: (n,) 1 for a defect, at least one. scores: (n,).
    """
    defect, values = np.asarray(labels) == 1, np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)  # of each distinct score
    true = np.cumsum(defect[order])[last]
    best = last[int(np.argmax(2 * true / (last + 1 + defect.sum())))]
    if best == len(ranked) - 1:
        return float(np.nextafter(ranked[-1], -np.inf))
    return float((ranked[best] + ranked[best + 1]) / 2)


def side_by_side(test: Labelled, conformal: float, validation: Labelled | None) -> dict[str, Any]:
    """`decided` on the test photos at each threshold, with it.

    Args:
        test: good and defective photos.
        conformal: threshold from held-out good photos alone.
        validation: held-out good photos and synthetic defects; None: there are no such ones.

    Returns:
        `conformal`; `validation_f1`: of the highest F1 on `validation`; `test_f1`: of the highest on the test
        photos themselves, as papers do, which looks at their labels.
    """
    at = {"conformal": conformal}
    if validation is not None:
        at["validation_f1"] = f1_threshold(*validation)
    at["test_f1"] = f1_threshold(*test)
    return {name: {"threshold": limit, **decided(*test, limit)} for name, limit in at.items()}


def recall_by_type(kinds: NDArray[np.str_], scores: ArrayLike, threshold: float) -> dict[str, float]:
    """Share of the defective photos over the threshold, by their type `kinds` (n,); "" is UNNAMED."""
    rejected = np.asarray(scores) > threshold
    return {str(kind) or UNNAMED: float(rejected[kinds == kind].mean()) for kind in np.unique(kinds)}
