"""The report's findings in plain words and rounded figures; what is unknown is left out, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from adrefine.evaluation.models import COMPARED
from adrefine.manifest import DEFECT, GOOD
from adrefine.metrics import finding
from adrefine.report.data import ReportData
from adrefine.review import REMOVE
from adrefine.text import counted

_UNCHANGED = 0.002  # AUROC; less than this is noise


@dataclass(frozen=True)
class Card:
    """One key figure. `meter`: 0 to 1, drawn as a bar; `tone`: good | bad | empty."""

    title: str
    value: str
    detail: str
    meter: float | None = None
    tone: str = ""


def flags(table: pd.DataFrame, column: str, value: int) -> np.ndarray:
    """(n,) bool: where `column` has `value`; nowhere if there is no such column."""
    return (table[column] == value).to_numpy() if column in table else np.zeros(len(table), bool)


def hidden(train: pd.DataFrame) -> np.ndarray:
    """(n,) bool: training photos known to be hidden defects."""
    return flags(train, "injected", 1) | flags(train, "label", DEFECT)


def good(train: pd.DataFrame) -> np.ndarray:
    """(n,) bool: training photos labelled good. Neither good nor hidden: the label is unknown."""
    return flags(train, "label", GOOD) & ~hidden(train)


def in_order_of_removal(train: pd.DataFrame) -> pd.DataFrame:
    """The removed rows, round by round, the highest score first."""
    order = ["removed_round", "score", "image_id"]
    train = train.assign(**{name: np.nan for name in order if name not in train})
    return train[flags(train, "kept", 0)].sort_values(order, ascending=[True, False, True])


def number(value: float) -> str:
    """Three significant digits, without exponent over 1; a dash for what is not a number."""
    if not isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    """`82 %`, or one decimal near 0 and 1, where it matters."""
    return f"{100 * share:.{int(0 < share < 0.1 or 0.9 < share < 1)}f} %"


def figure(metrics: dict[str, Any], *keys: str) -> float | None:
    """The metric under the nested keys, None where it is missing or not a number."""
    value: Any = metrics
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def headline(data: ReportData) -> str:
    """What was removed, in one sentence."""
    removed, defects, fine = flags(data.train, "kept", 0), hidden(data.train), good(data.train)
    if defects.any():
        lost = int((removed & fine).sum())
        return (
            f"Removed {int((removed & defects).sum())} of {counted(int(defects.sum()), 'hidden defect')} and "
            f"{counted(lost, 'good photo') if lost else 'no good photo'}."
        )
    sentence = f"Removed {int(removed.sum()):,} of {counted(len(data.train), 'training photo')}"
    if fine.any() and removed.any():
        return f"{sentence}, all labelled good."
    told = data.metrics.get("cleaning", {})
    if "outcome" in told and not removed.any():
        said = finding.sentence(told, 0, len(data.train))
        return f"{said[0].upper()}{said[1:]}."
    if not removed.any():
        return f"{sentence}: none looked suspicious."
    by_you = int((removed & (data.train["reviewed"] == REMOVE)).sum())
    if by_you == removed.sum():
        return f"{sentence}, as you answered."
    return f"{sentence} as suspicious" + (f", {by_you} of them as you answered." if by_you else ".")


def subline(data: ReportData) -> tuple[str, str]:
    """What it did to detection, in one sentence, and its tone (good | bad | empty)."""
    before, after, ceiling = (figure(data.metrics, "detection", model, "auroc") for model in COMPARED)
    if after is None:
        return "The effect on detection is unknown: no test photo is labelled. Judge by the photos below.", ""
    if before is None:
        return f"Detection AUROC {after:.3f}.", ""
    change = after - before
    tone = "" if abs(change) < _UNCHANGED else "good" if change > 0 else "bad"
    verdict = {"": "as before", "good": "better", "bad": "worse"}[tone]
    most = f"; ceiling {ceiling:.3f}" if ceiling is not None else ""
    return f"Detection AUROC {before:.3f} → {after:.3f} ({verdict}){most}.", tone


def cards(data: ReportData) -> list[Card]:
    """The key figures; those that need unknown labels are missing."""
    makers = (_found_card, _kept_card, _left_card, _auroc_card, _gain_card, _caught_card)
    return [card for card in (make(data) for make in makers) if card]


def _found_card(data: ReportData) -> Card | None:
    defects, stays = hidden(data.train), ~flags(data.train, "kept", 0)
    total, left = int(defects.sum()), int((defects & stays).sum())
    if not total:
        return None
    share = percent(left / max(int(stays.sum()), 1))
    remain = f"{left} still {'hides' if left == 1 else 'hide'}: {share} of what is left"
    return Card(
        "Hidden defects found",
        f"{total - left} of {total}",
        remain if left else "none is left",
        1 - left / total,
    )


def _kept_card(data: ReportData) -> Card | None:
    fine, stays = good(data.train), ~flags(data.train, "kept", 0)
    total, kept = int(fine.sum()), int((fine & stays).sum())
    if not total:
        return None
    detail = f"{counted(total - kept, 'good photo')} removed" if kept < total else "none was removed"
    return Card("Good photos kept", f"{kept:,} of {total:,}", detail, kept / total)


def _left_card(data: ReportData) -> Card | None:
    total, kept = len(data.train), int((~flags(data.train, "kept", 0)).sum())
    if not total or (hidden(data.train) | good(data.train)).all():  # the two cards above say it
        return None
    return Card("Photos left to train on", f"{kept:,} of {total:,}", "", kept / total)


def _auroc_card(data: ReportData) -> Card | None:
    told = (figure(data.metrics, "detection", model, "auroc") for model in (*COMPARED, "taught"))
    before, after, ceiling, taught = told
    if after is None:
        return None
    details = [
        "" if before is None else f"{before:.3f} before cleaning",
        "" if taught is None else f"{taught:.3f} taught by your answers",
        "" if ceiling is None else f"{ceiling:.3f} with no defect hidden",
    ]
    return Card("Detection AUROC", f"{after:.3f}", ", ".join(filter(None, details)), tone=subline(data)[1])


def _gain_card(data: ReportData) -> Card | None:
    gain = figure(data.metrics, "cleaning", "oracle_gap_closed")
    if gain is None:
        return None
    detail = "0 %: as before cleaning. 100 %: as good as with no defect hidden"
    if gain > 1:
        detail = "over 100 %: better than with no defect hidden. A single run can be so by chance"
    meter, tone = min(max(gain, 0.0), 1.0), "good" if gain > 0 else "bad"
    return Card("Possible gain reached", percent(gain), detail, meter, tone)


def _caught_card(data: ReportData) -> Card | None:
    recall, fpr = (figure(data.metrics, "detection", "refined", name) for name in ("recall", "fpr"))
    if recall is None:
        return None
    detail = "" if fpr is None else f"while {percent(fpr)} of the good photos raise a false alarm"
    return Card("Test defects caught", percent(recall), detail, recall)
