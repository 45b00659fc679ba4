"""Whether a new model may take the place of the promoted one: no worse on the photos held out from both.

Nothing is compared but the two models' scores of the very same photos. Photos from the inbox are left out:
they are believed to be good, nobody knows. A score of a photo by a model never changes, so it is recorded
when the model is promoted, and can be compared with when later settings make other inputs.

Every new model is compared with the best one promoted so far, not with the last: what `promotion.tolerance`
lets pass does not add up from night to night.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from adrefine.datasets.files import from_inbox
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.metrics import detection
from adrefine.params import Noise, Promotion

LIKELIHOOD = "likelihood"
_NAMES = {"auroc": "AUROC", "aupr": "average precision", LIKELIHOOD: "median log-likelihood"}
_FIGURES = {"auroc": detection.auroc, "aupr": detection.aupr}


@dataclass(frozen=True)
class Record:
    """What a model made of its held-out photos.

    Attributes:
        name: of the model, for people.
        inputs: what its inputs are made of; likelihoods compare only where that is the same.
        scores: image_id, score, and likelihood (log-likelihood per dimension, NaN if the detector has none).
    """

    name: str
    inputs: str
    scores: pd.DataFrame


@dataclass(frozen=True)
class Verdict:
    """Whether to promote, and why, in words.

    Attributes:
        best: whether later models are compared with this one from now on.
        measure, value, reference: what was compared, higher is better; None where nothing could be.
        good, defective: photos measured on; without labels all are `good`.
    """

    promote: bool
    reason: str
    best: bool
    measure: str
    value: float | None = None
    reference: float | None = None
    good: int = 0
    defective: int = 0


def refuse_hidden(noise: Noise) -> None:
    """Refuse to put a model into use that learned defects hidden on purpose.

    Raises:
        UserError: `noise.level` is not 0.
    """
    if noise.level:
        raise UserError(
            f"noise.level = {noise.level:g} hides known defects among the training photos, to measure what "
            "refinement finds: set noise.level to 0 for models that are put into use"
        )


def held_out(refined: pd.DataFrame) -> pd.DataFrame:
    """The photos of a refined manifest that models may be measured on, sorted: image_id, split (test | val),
    label. Never a photo that trains, or one from the inbox."""
    own = refined[~refined["source"].map(from_inbox).astype(bool) & (refined["split"] != "train")]
    tested, val = own["in_test"] == 1, own["split"] == "val"
    rows = own[tested | val].assign(split=np.where(tested[tested | val], "test", "val"))
    return rows[["image_id", "split", "label"]].sort_values("image_id", ignore_index=True)


def judge(section: Promotion, held: pd.DataFrame, new: Record, reference: Record | None) -> Verdict:
    """Decide.

    Args:
        section: measure, tolerance and fewest photos.
        held: photos held out from the new model, with today's labels; see `held_out`.
        new: the model to decide on. reference: the best promoted one; None: nothing is promoted.
    """
    rows = held.merge(new.scores, on="image_id")
    if reference is not None:
        rows = rows.merge(reference.scores, on="image_id", suffixes=("", "_reference"))
    labelled = rows[(rows["split"] == "test") & rows["label"].isin((GOOD, DEFECT))]
    by_label = section.measure != LIKELIHOOD and labelled["label"].nunique() == 2
    rows, measure = (labelled, section.measure) if by_label else (rows[rows["split"] == "val"], LIKELIHOOD)
    column = "score" if by_label else LIKELIHOOD
    defective = int((rows["label"] == DEFECT).sum()) if by_label else 0
    counts = (len(rows) - defective, defective)
    problem = _problem(section, rows, column, counts, new, reference)
    value = None if problem else _value(measure, rows, column)
    if reference is None:
        return Verdict(
            True, "the first one: nothing was promoted before", True, measure, value, None, *counts
        )
    if value is None:
        reason = f"not comparable with {reference.name}: {problem}"
        return Verdict(False, reason, False, measure, None, None, *counts)
    best = _value(measure, rows, f"{column}_reference")
    photos = f"{counts[0]} good and {counts[1]} defective held-out photos"
    shown = (
        f"{_NAMES[measure]} {value:.4f}, {reference.name} {best:.4f}, both on the same "
        f"{photos if by_label else f'{len(rows)} held-out photos'}"
    )
    allowed = value >= best - section.tolerance
    how = "no worse" if value >= best else "worse, but within" if allowed else "worse by more than"
    within = "" if value >= best else f" promotion.tolerance = {section.tolerance:g}"
    return Verdict(allowed, f"{how}{within}: {shown}", value >= best, measure, value, best, *counts)


def _problem(
    section: Promotion,
    rows: pd.DataFrame,
    column: str,
    counts: tuple[int, int],
    new: Record,
    reference: Record | None,
) -> str:
    """Why nothing can be said of these photos; empty: it can."""
    by_label = column == "score"
    if min(counts if by_label else counts[:1]) < section.min_photos:
        there = f"{counts[0]} good and {counts[1]} defective" if by_label else f"{counts[0]}"
        whose = "both" if reference else "it"
        return (
            f"{there} photos are held out from {whose}, promotion.min_photos = {section.min_photos} asks for "
            "more: add labelled test photos"
        )
    if not by_label and rows.filter(like=LIKELIHOOD).isna().to_numpy().any():
        return (
            "no held-out photos are labelled good and defective, and without labels only differnet is judged"
        )
    if not by_label and reference is not None and new.inputs != reference.inputs:
        return "likelihoods of other inputs or another detector do not compare"
    return ""


def _value(measure: str, rows: pd.DataFrame, column: str) -> float:
    """Higher is better. The median, because some of the photos without labels may hide a defect."""
    if measure == LIKELIHOOD:
        return float(np.median(rows[column]))
    return _FIGURES[measure](rows["label"], rows[column])
