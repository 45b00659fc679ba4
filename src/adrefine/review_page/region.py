"""A region of interest that a person drew on the page, as `dataset.roi` takes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adrefine import params, paths
from adrefine.dvc_driver import settings
from adrefine.errors import UserError
from adrefine.ingestion.pipeline import ROI_PHOTO
from adrefine.io import write_json
from adrefine.paths import ROI

FILE = ROI / "drawn.json"
Shape = Sequence[tuple[float, float]]


def save(shapes: Sequence[Shape], side: int) -> str:
    """Write data/roi/drawn.json and set `dataset.roi`; the file's name. Without a shape the whole photo
    counts from now on: "".

    The form is that of labelme. It is drawn on an image at working size, a square, and taken as it is.

    Args:
        shapes: outlines, each at least three corners, in shares of the width and height.
        side: pixels of the working size.

    Raises:
        UserError: an outline has fewer corners; params.yaml has no `dataset.roi`.
    """
    if any(len(shape) < 3 for shape in shapes):
        raise UserError("an outline has at least three corners")
    if not shapes:
        settings.write({"dataset.roi": None})
        return ""
    drawn = [[[round(x * side, 2), round(y * side, 2)] for x, y in shape] for shape in shapes]
    content = {
        "imageWidth": side,
        "imageHeight": side,
        "shapes": [{"label": "inside", "shape_type": "polygon", "points": points} for points in drawn],
    }
    write_json(FILE, content)
    settings.write({"dataset.roi": FILE.as_posix()})
    return FILE.as_posix()


def present() -> dict[str, Any]:
    """`dataset.roi` as it is set, and the outlines of the last drawing, if that is the region, in shares.

    Raises:
        UserError: params.yaml is not sound.
    """
    name = params.load().dataset.roi
    return {"file": name or "", "shapes": _outlines(Path(name)) if name and Path(name) == FILE else []}


def whole_photo() -> Path | None:
    """A photo as it was before the region of the last run was applied; None: that run had none."""
    file = paths.INGESTED / ROI_PHOTO
    return file if file.is_file() else None


def _outlines(file: Path) -> list[list[list[float]]]:
    try:
        content = json.loads(file.read_bytes())
        wide, high = float(content["imageWidth"]), float(content["imageHeight"])
        return [[[x / wide, y / high] for x, y in shape["points"]] for shape in content["shapes"]]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):  # not as this page wrote it
        return []
