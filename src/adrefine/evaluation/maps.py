"""Anomaly maps of the compared models: of the photos that are measured and of those in the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import manifest
from adrefine.areas.region import Region
from adrefine.detectors.base import Detector, Images
from adrefine.evaluation.inputs import Inputs, Mapper
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
    train = manifest.of_split(inputs.refined, "train")
    if name != "initial":
        train = train[train["kept"] == 1] if name == "refined" else train[train["injected"] == 0]
    photos = Images(tuple(ids), inputs.prepared)
    return drawn(inputs.models[name], inputs.mapper, train["image_id"].tolist(), photos, files, inputs.region)


def drawn(
    model: Detector,
    mapper: Mapper | None,
    learned: Sequence[str],
    photos: Images,
    files: list[Path],
    region: Region | None,
) -> np.ndarray | None:
    """Maps (n, h, w) of photos by a model that has learned the photos `learned`; None if there are none.

    Args:
        mapper: makes them, None: the model itself. region: what counts of the photos, None: all.
    """
    if mapper is None:
        maps = model.maps(photos, files)
    else:
        maps = mapper(photos.prepared, learned, photos.ids, files)
    return maps if maps is None or region is None else region.cleared(maps)


def localized(inputs: Inputs, params: Evaluate, test: pd.DataFrame) -> dict[str, Any]:
    """Pixel metrics of the models over the test photos that `to_locate` draws."""
    chosen = to_locate(test, params.localize)
    if chosen.empty:
        return {}
    masks, result = masks_of(chosen), {}
    for name in (name for name in inputs.models if name in COMPARED):  # what answers teach has the same maps
        maps = maps_of(inputs, name, chosen["image_id"].tolist(), [Path(path) for path in chosen["path"]])
        if maps is not None:
            result[name] = located(maps, masks, inputs.region)
    return result


def to_locate(test: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most `count` test photos, half of them with the mask of a defect, drawn by their id; none where no
    photo has one."""
    masked = test[(test["label"] == manifest.DEFECT) & (test["mask_path"] != "")]
    half = (count + 1) // 2
    if not count or masked.empty:
        return test.iloc[:0]
    return pd.concat([draw(masked, half), draw(test[test["label"] == manifest.GOOD], count - half)])


def masks_of(chosen: pd.DataFrame) -> list[np.ndarray]:
    """Of each photo where it is defective (h, w), nowhere without a file."""
    return [read_mask(*paths) for paths in zip(chosen["mask_path"], chosen["path"], strict=True)]


def located(maps: np.ndarray, masks: list[np.ndarray], region: Region | None) -> dict[str, float]:
    """Pixel AUROC and AU-PRO inside the region."""
    return localization.localization_metrics(maps, masks, inside=None if region is None else region.inside)


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
