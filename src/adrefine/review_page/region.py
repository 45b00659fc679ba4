"""A region of interest that a person drew on the page, as `dataset.roi` takes it."""

from __future__ import annotations

from collections.abc import Sequence

from adrefine.dvc_driver import settings
from adrefine.errors import UserError
from adrefine.io import write_json
from adrefine.paths import ROI

FILE = ROI / "drawn.json"
Shape = Sequence[tuple[float, float]]


def save(shapes: Sequence[Shape], side: int) -> str:
    """Write data/roi/drawn.json and set `dataset.roi`; the file's name.

    The form is that of labelme. It is drawn on an image at working size, a square, and taken as it is.

    Args:
        shapes: outlines, each at least three corners, in shares of the width and height.
        side: pixels of the working size.

    Raises:
        UserError: nothing is drawn; params.yaml has no `dataset.roi`.
    """
    if not shapes or any(len(shape) < 3 for shape in shapes):
        raise UserError("draw an outline first: at least three corners")
    drawn = [[[round(x * side, 2), round(y * side, 2)] for x, y in shape] for shape in shapes]
    content = {
        "imageWidth": side,
        "imageHeight": side,
        "shapes": [{"label": "inside", "shape_type": "polygon", "points": points} for points in drawn],
    }
    write_json(FILE, content)
    settings.write({"dataset.roi": FILE.as_posix()})
    return FILE.as_posix()
