"""What differs between two versions of a dataset, photo by photo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from adrefine.comparing.settings import changed
from adrefine.comparing.version import Version
from adrefine.manifest import DEFECT, GOOD
from adrefine.places import votes
from adrefine.places.votes import Votes

KINDS = {  # of a change, in the order in which they are shown
    "only_a": "only {a} keeps",
    "only_b": "only {b} keeps",
    "less": "count for less in {b}",
    "more": "count for more in {b}",
    "new": "new in {b}",
    "gone": "gone in {b}",
    "label": "another label",
    "answer": "another answer",
}
MUCH = 0.5  # of a photo's weight: a smaller change is none
_LABELS = {GOOD: "good", DEFECT: "defective"}
_FIGURES = ("auroc", "aupr", "recall", "fpr")


@dataclass(frozen=True)
class Difference:
    """Two versions, and a row for each photo that differs.

    Attributes:
        rows: image_id, source, path, changes (of KINDS, at least one), votes (of both, in words), and of each
            version, `_a` and `_b`: kept, weight, score (in units of the limit), rank (1: the most
            suspicious), round (removed in), reason (which evidence), answer, label, and
            what each voter says (`votes.COLUMNS`).
        measures: figure, and its value in A and B; None where it is not known.
        settings: dotted key of params.yaml, and its value in A and B.
    """

    a: Version
    b: Version
    rows: list[dict[str, Any]]
    measures: list[tuple[str, float | None, float | None]]
    settings: list[tuple[str, Any, Any]]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The rows with that change."""
        return [row for row in self.rows if kind in row["changes"]]

    def title(self, kind: str) -> str:
        """The change in words."""
        return KINDS[kind].format(a=self.a.name, b=self.b.name)


def compare(a: Version, b: Version) -> Difference:
    """What differs."""
    told_a, told_b = _told(a), _told(b)
    rows = []
    for image_id in sorted(told_a.keys() | told_b.keys()):
        one, other = told_a.get(image_id), told_b.get(image_id)
        if changes := _changes(one, other):
            told = [version.votes.get(image_id) for version in (a, b)]
            rows.append(_row(image_id, one, other, changes) | _votes(*told))
    order = list(KINDS)
    rows.sort(key=lambda row: (order.index(row["changes"][0]), _worst(row), row["image_id"]))
    return Difference(a, b, rows, _measures(a, b), changed(a.settings, b.settings))


def _told(version: Version) -> dict[str, dict[str, Any]]:
    """What a version says of each of its photos."""
    table = version.photos
    with np.errstate(divide="ignore", invalid="ignore"):
        units = table["score"].to_numpy(float) / table["threshold"].to_numpy(float)
    ranks = table["relative_score"].rank(ascending=False, method="min").to_numpy(float)
    cells: dict[str, Iterable[Any]] = {
        "kept": table["kept"].fillna(1).astype(int),
        "weight": table["weight"].fillna(1.0).round(4),
        "score": [_number(value, 4) for value in units],
        "rank": [None if np.isnan(rank) else int(rank) for rank in ranks],
        "round": [None if pd.isna(value) else int(value) for value in table["removed_round"]],
        "reason": table["reason"].fillna("").astype(str),
        "answer": table["reviewed"].fillna("").astype(str),
        "label": [_LABELS.get(value, "") for value in table["label"]],
        "source": table["source"].astype(str),
        "path": table["path"].astype(str),
    }
    columns = [list(column) for column in cells.values()]
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*columns, strict=True)]
    return dict(zip(map(str, table.index), rows, strict=True))


def _changes(one: dict[str, Any] | None, other: dict[str, Any] | None) -> list[str]:
    if one is None or other is None:
        return ["new" if one is None else "gone"]
    changes = []
    if one["kept"] != other["kept"]:
        changes.append("only_a" if one["kept"] else "only_b")
    elif one["kept"] and abs(one["weight"] - other["weight"]) >= MUCH:
        changes.append("less" if other["weight"] < one["weight"] else "more")
    changes += ["label"] * (one["label"] != other["label"]) + ["answer"] * (one["answer"] != other["answer"])
    return changes


def _row(
    image_id: str, one: dict[str, Any] | None, other: dict[str, Any] | None, changes: list[str]
) -> dict[str, Any]:
    names = ("kept", "weight", "score", "rank", "round", "reason", "answer", "label")
    there = other or one or {}
    row = {"image_id": image_id, "source": there["source"], "path": there["path"], "changes": changes}
    for name in names:
        row |= {f"{name}_a": one[name] if one else None, f"{name}_b": other[name] if other else None}
    return row


def _votes(one: Votes | None, other: Votes | None) -> dict[str, Any]:
    told = {"a": votes.cells(one), "b": votes.cells(other)}
    figures = {f"{name}_{side}": told[side][name] for name in votes.COLUMNS for side in "ab"}
    return {"votes": votes.change(one, other), **figures}


def _worst(row: dict[str, Any]) -> float:
    return -max(row["score_a"] or 0.0, row["score_b"] or 0.0)


def _measures(a: Version, b: Version) -> list[tuple[str, float | None, float | None]]:
    """Photos that train, and the refined detector's figures on test photos."""
    measures: list[tuple[str, float | None, float | None]] = [
        ("photos", float(len(a.photos)), float(len(b.photos)))
    ]
    measures.append(("kept", float(a.kept), float(b.kept)))
    for name in _FIGURES:
        values = [_deep(version.metrics, "detection", "refined", name) for version in (a, b)]
        measures.append((f"test {name}", values[0], values[1]))
    gaps = [_deep(version.metrics, "cleaning", "oracle_gap_closed") for version in (a, b)]
    measures.append(("of the possible gain", gaps[0], gaps[1]))
    return [row for row in measures if row[1:] != (None, None)]


def _deep(content: Any, *keys: str) -> float | None:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return float(content) if isinstance(content, int | float) else None


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
