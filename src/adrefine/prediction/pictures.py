"""A photo under its anomaly map, on the one scale of the set: two pictures compare."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from adrefine.ingestion.preparation import Preparation
from adrefine.prediction.photo import Result

_SIDE = 1024  # most pixels a side of a picture
_CLEAR, _HOT = 0.5, 2.0  # values of a map where colour begins, and where it is hottest; 1 is the threshold
_STRENGTH = 0.8  # opacity of the hottest colour


def heat(result: Result) -> bytes:
    """The map alone as PNG: black at 0, the hottest colour from `_HOT` on."""
    return _png(_coloured(np.clip(_small(result) / _HOT, 0, 1)))


def overlay(result: Result, path: Path, preparation: Preparation) -> bytes:
    """The photo in grey under its map as PNG: clear below half the threshold."""
    values = _small(result)
    height, width = values.shape
    photo = preparation.shown(path.read_bytes()).convert("L").resize((width, height), Image.Resampling.BOX)
    grey = np.asarray(photo, dtype=np.float32)[..., None] * 0.85
    warmth = np.clip((values - _CLEAR) / (_HOT - _CLEAR), 0, 1)
    opacity = (_STRENGTH * warmth**0.7)[..., None]
    return _png(grey * (1 - opacity) + _coloured(0.3 + 0.7 * warmth) * opacity)


def _small(result: Result) -> npt.NDArray[np.float32]:
    """The map with at most `_SIDE` pixels a side."""
    shrink = min(1.0, _SIDE / max(result.width, result.height))
    return result.map_at(max(1, round(result.width * shrink)), max(1, round(result.height * shrink)))


def _coloured(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Colours (h, w, 3), 0 to 255, of values in 0..1."""
    import matplotlib

    return np.asarray(matplotlib.colormaps["inferno"](values))[..., :3] * 255


def _png(values: npt.NDArray[np.floating]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values.round().astype(np.uint8)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
