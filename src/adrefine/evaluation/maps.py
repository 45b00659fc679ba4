"""Anomaly maps of the compared models: of the photos that are measured and of those in the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import manifest
from adrefine.detectors.base import Images
from adrefine.evaluation.inputs import Inputs
from adrefine.evaluation.models import COMPARED
from adrefine.metrics import localization
from adrefine.params import Evaluate
from adrefine.report import gallery
from adrefine.report.data import ReportData
from adrefine.runtime.seeds import derived_seed

_LAYERED = 4  # photos whose maps are shown in parts


def maps_of(inputs: Inputs, name: str, ids: Sequence[str], files: list[Path]) -> np.ndarray | None:
    """Maps (n, h, w) of photos by the model `name`; None if its detector makes none.

    Of places they show what is unusual beside the photos that the model has learned.
    """
    if inputs.mapper is None:
        maps = inputs.models[name].maps(Images(tuple(ids), inputs.prepared), files)
    else:
        train = manifest.of_split(inputs.refined, "train")
        if name != "initial":
            train = train[train["kept"] == 1] if name == "refined" else train[train["injected"] == 0]
        maps = inputs.mapper(inputs.prepared, train["image_id"].tolist(), ids, files)
    return maps if maps is None or inputs.region is None else inputs.region.cleared(maps)


def localized(inputs: Inputs, params: Evaluate, test: pd.DataFrame) -> dict[str, Any]:
    """Pixel metrics over `params.localize` test photos, half of them defective, drawn by their id."""
    masked = test[(test["label"] == manifest.DEFECT) & (test["mask_path"] != "")]
    half = (params.localize + 1) // 2
    chosen = pd.concat(
        [draw(masked, half), draw(test[test["label"] == manifest.GOOD], params.localize - half)]
    )
    if not params.localize or masked.empty:
        return {}
    masks = [read_mask(*paths) for paths in zip(chosen["mask_path"], chosen["path"], strict=True)]
    result = {}
    for name in (name for name in inputs.models if name in COMPARED):  # what answers teach has the same maps
        maps = maps_of(inputs, name, chosen["image_id"].tolist(), [Path(path) for path in chosen["path"]])
        if maps is not None:
            inside = None if inputs.region is None else inputs.region.inside
            result[name] = localization.localization_metrics(maps, masks, inside=inside)
    return result


def draw(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` photos, or all, chosen by their id alone."""
    order = rows["image_id"].map(lambda image_id: derived_seed("localize", image_id) >> 1)
    return rows.loc[order.sort_values().index[:count]]


def read_mask(mask_path: str, path: str) -> np.ndarray:
    """Mask (h, w) of a photo, all False without a file."""
    with Image.open(mask_path or path) as image:
        return np.asarray(image.convert("L")) > 0 if mask_path else np.zeros(image.size[::-1], dtype=bool)


def layers(inputs: Inputs, test: pd.DataFrame) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Of the `_LAYERED` most suspicious test photos, defects first, the file and the maps that the map of the
    refined model adds up, the sum last; nothing where it has no such parts.

    Args:
        test: columns image_id, path, label and `refined`, the scores.
    """
    worst = test.assign(good=test["label"] == manifest.GOOD).sort_values(
        ["good", "refined", "image_id"], ascending=[True, False, True]
    )
    chosen = worst.head(_LAYERED)
    files = [Path(path) for path in chosen["path"]]
    images, model = Images(tuple(chosen["image_id"]), inputs.prepared), inputs.models["refined"]
    parts = model.layers(images, files)
    if not parts or not files:
        return []
    whole = model.maps(images, files)
    assert whole is not None
    named = {**parts, "both": whole}
    return [(str(file), {name: maps[row] for name, maps in named.items()}) for row, file in enumerate(files)]


def gallery_maps(inputs: Inputs, data: ReportData, limit: int) -> dict[str, np.ndarray]:
    """Maps of the photos in the report, by the refined model, which never learned what was removed."""
    ids = gallery.needed_maps(data, limit)
    files = inputs.refined.set_index("image_id")["path"].loc[ids].map(Path).tolist()
    maps = maps_of(inputs, "refined", ids, files)
    if maps is not None and inputs.region is not None:
        maps = inputs.region.calmed(maps)
    return {} if maps is None else dict(zip(ids, maps, strict=True))
