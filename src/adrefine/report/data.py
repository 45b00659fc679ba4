"""What the report shows, gathered in one place by the evaluate stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from adrefine.report.interest import WHOLE, Interest
from adrefine.report.turned import NONE, Turned


@dataclass(frozen=True)
class ReportData:
    """All that plots and the HTML report need. Label-based parts are absent where labels are unknown.

    Attributes:
        settings: flat facts for the table: dataset (also in the header), detector, strategy, scorer, noise
            level, backbone, image size.
        metrics: the content of reports/metrics.json.
        train: one row per training image: image_id, path, mask_path, source, label (0, 1, -1 unknown),
            defect_type, injected (0/1), kept (0/1), removed_round (NaN if kept), score, threshold (last ones
            seen by the strategy), reviewed (a human's verdict: keep, remove or empty), review_note.
        history: one row per round and scored image: round, image_id, score, threshold, removed (0/1).
        rounds: one row per model: round (0: initial), kept, removed (in that round), residual_noise and auroc
            (NaN where labels are unknown).
        test: one row per test image: image_id, path, mask_path, source, label, defect_type and the image
            scores `initial`, `refined`, `taught`, `oracle` (a column is absent where there is no such model).
        thresholds: decision threshold of each model, from held-out good images.
        stop_reason: why the strategy stopped, as a sentence.
        queue: one row per training image that no human answered for, the most doubtful first: image_id,
            reason.
        maps: anomaly map by image_id, (h, w) float32, of the refined model; for gallery images only.
        layers: of some test photos the file and, by name, the maps (h, w) that the detector's map adds up,
            the sum last; empty where it has no such parts.
        notes: sentences the reader must know (unlabelled data, defects run out, no ceiling ...).
        distillation: columns step and loss of pretrain_pdn; None where it did no step or was not needed.
        throughput: images a second of its steps, when they were done; None where it is not known.
        turned: examples of photos that were turned to their part.
        interest: what of the photos counts.
    """

    settings: dict[str, Any]
    metrics: dict[str, Any]
    train: pd.DataFrame
    history: pd.DataFrame
    rounds: pd.DataFrame
    test: pd.DataFrame
    thresholds: dict[str, float]
    stop_reason: str
    queue: pd.DataFrame = field(default_factory=pd.DataFrame)
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    layers: list[tuple[str, dict[str, np.ndarray]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    distillation: pd.DataFrame | None = None
    throughput: float | None = None
    turned: Turned = NONE
    interest: Interest = WHOLE
