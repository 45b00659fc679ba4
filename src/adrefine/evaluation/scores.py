"""Scores of photos by a model, and what is decided by them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest
from adrefine.detectors.base import Detector, Images
from adrefine.errors import UserError
from adrefine.evaluation.inputs import Inputs
from adrefine.metrics import deciding, detection
from adrefine.paths import PIXELS, PLACES
from adrefine.places.store import open_places
from adrefine.review import REMOVE


@dataclass(frozen=True)
class Measured:
    """What the models say of photos that none of them learned from, but for `train`.

    Attributes:
        train, test, held: rows of the manifest, by id; `held` are held-out photos that nobody called
            defective.
        scores, good: by model, of `test` and of `held`. thresholds: by model, read off `good`.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    held: pd.DataFrame
    scores: dict[str, np.ndarray]
    good: dict[str, np.ndarray]
    thresholds: dict[str, float]


def measure(inputs: Inputs, target_fpr: float) -> Measured:
    """Score test and held-out photos with every model; the thresholds let `target_fpr` of good ones pass."""
    table = inputs.refined
    test = table[table["in_test"] == 1].sort_values("image_id", ignore_index=True)
    train = manifest.of_split(table, "train").sort_values("image_id", ignore_index=True)
    held = held_out_photos(table)
    scores, good = (
        {name: scored(model, rows, inputs.prepared) for name, model in inputs.models.items()}
        for rows in (test, held)
    )
    thresholds = {
        name: detection.conformal_threshold(good_scores, target_fpr, manifest.parts(held))
        for name, good_scores in good.items()
    }
    return Measured(train, test, held, scores, good, thresholds)


def labelled(test: pd.DataFrame) -> bool:
    return set(test["label"]) == {manifest.GOOD, manifest.DEFECT}


def scored(model: Detector, rows: pd.DataFrame, prepared: Path) -> np.ndarray:
    return model.score(Images(tuple(rows["image_id"]), prepared)).image if len(rows) else np.zeros(0)


def held_out_photos(table: pd.DataFrame) -> pd.DataFrame:
    """Held-out photos that nobody called defective; thresholds come from them, never from test images."""
    held = table[(table["split"] == "val") & (table["label"] != manifest.DEFECT)]
    held = held[held["reviewed"] != REMOVE]
    if held.empty:
        raise UserError("there is no held-out good photo to set the threshold: raise dataset.val_fraction")
    return held


def decisions(inputs: Inputs, measured: Measured) -> dict[str, Any]:
    """What each model decides at three thresholds, and which types of defect it catches at the first."""
    twins, test = _twins(inputs, measured.held), measured.test
    defect = (test["label"] == manifest.DEFECT).to_numpy()
    said: dict[str, Any] = {"thresholds": {}, "recall_by_type": {}}
    for name, model in inputs.models.items():
        scores, validation = measured.scores[name], None
        if len(twins):
            both = np.concatenate([measured.good[name], scored(model, twins, inputs.prepared)])
            validation = (np.repeat([0, 1], [len(measured.held), len(twins)]), both)
        at, kinds = measured.thresholds[name], test["defect_type"].to_numpy(dtype=str)[defect]
        said["thresholds"][name] = deciding.side_by_side((test["label"], scores), at, validation)
        said["recall_by_type"][name] = deciding.recall_by_type(kinds, scores[defect], at)
    return said


def _twins(inputs: Inputs, held: pd.DataFrame) -> pd.DataFrame:
    """The synthetic defects of held-out photos that the detector can score."""
    places = inputs.prepared / PLACES
    if PIXELS in inputs.reads or not (places / "meta.json").exists():
        return held[:0]
    twins, store = held.assign(image_id=held["image_id"].map(manifest.synthetic_id)), open_places(places)
    return twins[[store.has([name]) for name in twins["image_id"]]]
