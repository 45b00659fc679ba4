"""The numbers of reports/metrics.json."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest
from adrefine.evaluation.inputs import Inputs
from adrefine.evaluation.maps import localized
from adrefine.evaluation.models import COMPARED
from adrefine.evaluation.scores import Measured, decisions, labelled, scored
from adrefine.metrics import cleaning, detection, ranking, reviewing
from adrefine.params import Evaluate


def metrics(inputs: Inputs, params: Evaluate, measured: Measured) -> dict[str, Any]:
    """The content of reports/metrics.json: numbers only, undefined ones left out (docs/design.md)."""
    test, train, scores = measured.test, measured.train, measured.scores
    content: dict[str, Any] = {}
    if labelled(test):
        content["detection"] = {
            name: detection.detection_metrics(test["label"], scores[name], measured.thresholds[name])
            for name in scores
        }
        content["localization"] = localized(inputs, params, test)
    content["cleaning"] = _cleaning(inputs, train, content.get("detection", {}))
    if _known(train):
        content["ranking"] = ranking.ranking_metrics(train["injected"], train["relative_score"])
        content["review"] = _reviewing(inputs, train)
    content["noise"] = {name: inputs.noise[name] for name in ("requested", "realised", "n_train")}
    if labelled(test):
        content |= decisions(inputs, measured)
    if inputs.supervision:
        content["supervision"] = inputs.supervision | _recycled(train)
    return {name: _rounded(part) for name, part in content.items() if part}


def headline(metrics: dict[str, Any], strategy: str) -> dict[str, Any]:
    """The content of reports/headline.json, what `dvc exp show` begins with: the strategy, the share of
    hidden defects where it is known, photos removed, test AUROC before, after and without the hidden defects
    (ceiling), and the share of that gain that was reached; undefined ones left out."""
    cleaned, detected = metrics["cleaning"], metrics.get("detection", {})
    named = zip(("before", "after", "ceiling"), COMPARED, strict=True)
    content = {
        "strategy": strategy,
        "hidden": metrics["noise"]["realised"] if "removed_defects" in cleaned else None,
        "removed": cleaned["removed"],
        "removed_defects": cleaned.get("removed_defects"),
        **{heading: detected[name]["auroc"] for heading, name in named if name in detected},
        "gain": cleaned.get("oracle_gap_closed"),
    }
    return {name: value for name, value in content.items() if value is not None}


def _known(train: pd.DataFrame) -> bool:
    """Whether every training photo has a label to measure with."""
    return bool((train["label"] != manifest.UNKNOWN).all())


def _cleaning(inputs: Inputs, train: pd.DataFrame, detected: dict[str, Any]) -> dict[str, Any]:
    """What the refinement did; where nobody knows which removed photos were defects, only how many went."""
    figures = cleaning.cleaning_metrics(
        train["injected"], train["kept"], train["relative_score"], inputs.summary["rounds"]
    )
    if not _known(train):
        figures = {name: figures[name] for name in ("removed", "rounds")}
    figures |= {
        name: inputs.summary[name] for name in ("outcome", "share", "light") if name in inputs.summary
    }
    if "oracle" in detected:
        gap = cleaning.oracle_gap_closed(*(detected[name]["auroc"] for name in COMPARED))
        figures |= {} if gap is None else {"oracle_gap_closed": gap}
    return figures


def _recycled(train: pd.DataFrame) -> dict[str, int]:
    """How many training photos taught as real defects, and how many of them are known to be good."""
    taught = train[train["recycled"] == 1]
    return {"recycled": len(taught), "recycled_wrong": int((taught["label"] == manifest.GOOD).sum())}


def _reviewing(inputs: Inputs, train: pd.DataFrame) -> dict[str, float]:
    """How good the review queue is, and how good the initial detector's scores alone would be."""
    rows = inputs.queue[["image_id"]].merge(train, on="image_id", validate="1:1")
    wrong = rows["injected"] == rows["kept"]  # a defect that stayed, a good photo that went
    plain = np.argsort(-scored(inputs.models["initial"], rows, inputs.prepared), kind="stable")
    shares = {"found": rows["injected"] == 1, "wrong": wrong}
    result: dict[str, float] = {}
    for name, sought in shares.items():
        result |= reviewing.found_at(sought, name)
        result |= reviewing.found_at(sought.to_numpy()[plain], f"plain_{name}")
    return result


def _rounded(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _rounded(value) for name, value in part.items()}
    return round(float(part), 6) if isinstance(part, float | np.floating) else int(part)
