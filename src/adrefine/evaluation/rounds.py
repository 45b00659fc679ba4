"""What the rounds of a refinement did."""

from __future__ import annotations

import pandas as pd

from adrefine import manifest
from adrefine.evaluation.inputs import Inputs
from adrefine.evaluation.scores import labelled
from adrefine.metrics import detection, history


def rounds(inputs: Inputs, train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """One row per model of the refinement, round 0 being the initial one."""
    rows = []
    scores = inputs.round_scores.set_index("image_id").reindex(test["image_id"])
    out_after, before = history.out_after(inputs.history), frozenset[str]()
    unknown = bool((train["label"] == manifest.UNKNOWN).any())
    for column in scores.columns:
        number = int(column.removeprefix("round_"))
        out = out_after[number]
        kept = ~train["image_id"].isin(out)
        rows.append(
            {
                "round": number,
                "kept": int(kept.sum()),
                "removed": len(out - before),
                "residual_noise": float("nan") if unknown else float(train["injected"][kept].mean()),
                "auroc": detection.auroc(test["label"], scores[column]) if labelled(test) else float("nan"),
            }
        )
        before = out
    return pd.DataFrame(rows, columns=["round", "kept", "removed", "residual_noise", "auroc"])
