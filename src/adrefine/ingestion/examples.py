"""A few turned photos as they were before, for the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image

SHOWN = 8
SIDE = 256  # pixels of the longer side


def write(folder: Path, kept: pd.DataFrame) -> None:
    """Write the first training photos that were turned, by their id, as `<image_id>.png` in their own shape.

    Args:
        kept: image_id, split, not_turned, upright (the stretched image's file), width, height.
    """
    turned = kept[(kept["split"] == "train") & (kept["not_turned"] == "")].sort_values("image_id")
    folder.mkdir(parents=True)
    columns = (turned.head(SHOWN)[name] for name in ("image_id", "upright", "width", "height"))
    for name, upright, width, height in zip(*columns, strict=True):
        scale = SIDE / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        with Image.open(upright) as image:
            image.resize(size, Image.Resampling.LANCZOS).save(folder / f"{name}.png")
