"""The scale of anomaly maps: one for the whole set, so that two photos compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adrefine import manifest
from adrefine.bundle.write import held_out
from adrefine.evaluation.inputs import Inputs
from adrefine.evaluation.maps import draw, maps_of
from adrefine.metrics import detection
from adrefine.params import Evaluate

_MOST = 64  # held-out photos whose maps are looked at


def map_limit(inputs: Inputs, params: Evaluate) -> tuple[float, int]:
    """Value of the refined model's maps that is their threshold, by the rule of the threshold of scores: the
    largest value in a new good photo stays under it with a chance of 1 - `params.target_fpr`.

    Returns:
        It, and how many held-out photos it was read off; (1, 0) of a detector without maps.
    """
    held = draw(held_out(inputs.refined), _MOST)
    maps = maps_of(inputs, "refined", held["image_id"].tolist(), [Path(path) for path in held["path"]])
    if maps is None:
        return 1.0, 0
    limit = detection.conformal_threshold(maps.max(axis=(1, 2)), params.target_fpr, manifest.parts(held))
    return max(limit, float(np.finfo(np.float32).tiny)), len(held)
