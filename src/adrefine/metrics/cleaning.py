"""How well a strategy found the hidden defects. For measuring only: no strategy sees any of this."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from adrefine.errors import UserError
from adrefine.metrics.detection import auroc

_NO_GAP = 0.002  # AUROC. Hidden defects that cost less leave nothing to win: the ratio would be noise


def cleaning_metrics(
    injected: ArrayLike, kept: ArrayLike, removal_score: ArrayLike, rounds: int
) -> dict[str, float]:
    """What was removed, and how much of it rightly.

    Args:
        injected: (n,) 1 for a hidden defect, 0 for a good training photo.
        kept: (n,) 1 if the photo is still in the training set.
        removal_score: (n,) last score of the photo; NaN if it never had one: a human removed it first.
        rounds: rounds of scoring and removing.
    Returns:
        removed, removed_defects, removed_good; precision (hidden defects among the removed), recall (removed
        among the hidden defects), good_retained (kept among the good), rank_auroc (score against injected, of
        all photos with a score), residual_noise (hidden defects among the kept); rounds. Undefined ratios are
        left out.
    Raises:
        UserError: lengths differ, or values other than 0 and 1.
    """
    hidden, stays = _flags(injected, "injected"), _flags(kept, "kept")
    scores = np.asarray(removal_score, dtype=np.float64)
    if not hidden.shape == stays.shape == scores.shape:
        raise UserError(f"injected {hidden.shape}, kept {stays.shape}, scores {scores.shape}: lengths differ")
    removed, hits, lost = int(np.sum(~stays)), int(np.sum(hidden & ~stays)), int(np.sum(~hidden & ~stays))
    ratios = {
        "precision": (hits, removed),
        "recall": (hits, int(hidden.sum())),
        "good_retained": (int(np.sum(~hidden & stays)), int(np.sum(~hidden))),
        "residual_noise": (int(np.sum(hidden & stays)), int(stays.sum())),
    }
    result: dict[str, float] = {"removed": removed, "removed_defects": hits, "removed_good": lost}
    result |= {name: part / whole for name, (part, whole) in ratios.items() if whole}
    scored = ~np.isnan(scores)
    if hidden[scored].any() and not hidden[scored].all():
        result["rank_auroc"] = auroc(hidden[scored], scores[scored])
    return {**result, "rounds": int(rounds)}


def oracle_gap_closed(initial: float, refined: float, oracle: float) -> float | None:
    """Share of the possible AUROC gain that refinement reached: 0 none, 1 as good as without hidden defects.

    Under 0 if refinement did harm, over 1 if it beat the oracle; None if the oracle gains less than 0.002.
    """
    gap = oracle - initial
    return None if gap < _NO_GAP else (refined - initial) / gap


def _flags(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise UserError(f"`{name}` must be a list of 0 and 1")
    return array.astype(bool)
