"""The report's part on the region of interest: what of a photo counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from adrefine.areas import region
from adrefine.io import read_json
from adrefine.report import pictures
from adrefine.text import region_words

PHOTO = "roi_photo.png"  # a photo as it was, which ingest leaves beside the region
_SIDE = 320  # pixels of the picture
_DIM = 0.3  # of the brightness, outside
_EDGE = (0, 229, 255)  # cyan, as the outline of a defect


@dataclass(frozen=True)
class Interest:
    """A photo with what does not count dimmed, as a data URI; empty where the whole photo counts."""

    intro: str = ""
    picture: str = ""


WHOLE = Interest()


def find(ingested: Path) -> Interest:
    """From what ingest left in its folder."""
    roi, shown = region.find(ingested), pictures.thumbnail(ingested / PHOTO, _SIDE)
    if roi is None or shown is None:
        return WHOLE
    size = (shown.shape[1], shown.shape[0])
    inside = np.asarray(roi.picture().resize(size, Image.Resampling.NEAREST)) > 0
    dimmed = np.where(inside[..., None], shown, _DIM * shown).round().astype(np.uint8)
    border = pictures.outline_of(inside)
    dimmed[border] = _EDGE
    words = region_words(read_json(ingested / "summary.json")["roi"])
    intro = f"Only what is bright here was scored and mapped ({words}). The rest counts for nothing."
    return Interest(intro, pictures.data_uri(dimmed))
