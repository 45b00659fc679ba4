"""The curves as CSV, which `dvc plots` draws over each other for several versions (dvc.yaml, `plots`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from adrefine.io import fresh_folder, write_csv
from adrefine.metrics.detection import roc_curve
from adrefine.report.data import ReportData
from adrefine.report.words import flags

_DIGITS = 6


def write_all(data: ReportData, folder: Path) -> None:
    """Write roc.csv, scores.csv and rounds.csv; what labels do not allow has no rows."""
    fresh_folder(folder)
    for name, table in (("roc", roc(data)), ("scores", scores(data)), ("rounds", rounds(data))):
        write_csv(folder / f"{name}.csv", table.round(_DIGITS))


def roc(data: ReportData) -> pd.DataFrame:
    """Of the refined model on test photos: false_alarms and caught, shares of the good and defective ones."""
    test = data.test[flags(data.test, "label", 0) | flags(data.test, "label", 1)]
    if "refined" not in test or test["label"].nunique() < 2:
        return pd.DataFrame({"false_alarms": [], "caught": []})
    false_alarms, caught = roc_curve(test["label"], test["refined"])
    return pd.DataFrame({"false_alarms": false_alarms, "caught": caught})


def scores(data: ReportData) -> pd.DataFrame:
    """Of training photos that were scored, the most suspicious first: rank, and score in units of the limit
    (of the median where the strategy has none)."""
    train = data.train[np.isfinite(data.train["score"].to_numpy(float))]
    values, limit = train["score"].to_numpy(float), train["threshold"].to_numpy(float)
    units = np.where(np.isfinite(limit) & (limit > 0), limit, np.median(values) if len(values) else 1.0)
    ordered = np.sort(values / units)[::-1]
    return pd.DataFrame({"rank": np.arange(1, len(ordered) + 1), "score": ordered})


def rounds(data: ReportData) -> pd.DataFrame:
    """Of each round: photos kept, and the test AUROC, where labels are known."""
    return data.rounds.reindex(columns=["round", "kept", "auroc"])
