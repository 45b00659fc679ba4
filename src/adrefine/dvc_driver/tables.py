"""The results of a run as tables for Prefect: the same keys in every row, no NaN, nothing that needs labels
where there are none."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from adrefine.evaluation.models import MODELS
from adrefine.manifest import DEFECT, GOOD
from adrefine.text import harmless

Row = dict[str, Any]
MOST = 1000  # removed images that the table shows


def metrics(measured: Mapping[str, Any]) -> list[Row]:
    """A row per figure of reports/metrics.json: before and after cleaning, and the ceiling.

    A model that was not measured has no column. Without labels there is no figure and no row.
    """
    sections = [measured[name] for name in ("detection", "localization") if name in measured]
    models = [name for name in MODELS if any(name in section for section in sections)]
    figures = [(section, key) for section in sections for key in next(iter(section.values()))]
    return [
        {"figure": key} | {MODELS[name]: _number(section.get(name, {}).get(key)) for name in models}
        for section, key in figures
    ]


def removed(manifest: Path) -> list[Row]:
    """A row per training image that the last refinement removed, in the order of removal.

    score, threshold: of the last round that scored it, empty if none did (removed by hand). hidden defect:
    only where the label of every removed image is known.

    Args:
        manifest: data/refined/manifest.csv.
    """
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("kept") in ("0", "0.0")]
    rows.sort(key=lambda row: (float(row["removed_round"] or 0), -float(row["score"] or 0), row["image_id"]))
    known = all(row.get("label") in (str(GOOD), str(DEFECT)) for row in rows)
    return [_removed(row, known) for row in rows]


def _removed(row: Mapping[str, str], known: bool) -> Row:
    hidden = row.get("injected") == "1" or row.get("label") == str(DEFECT)
    return {
        "image_id": row["image_id"],
        "path": harmless(row["path"]),
        "score": _number(row["score"]),
        "threshold": _number(row["threshold"]),
        "round": int(float(row["removed_round"] or 0)),
        "by": "you" if row.get("reviewed") else "strategy",
        **({"hidden defect": "yes" if hidden else "no"} if known else {}),
    }


def _number(value: Any) -> float | None:
    number = float(value) if value not in (None, "") else float("nan")
    return round(number, 4) if isfinite(number) else None
