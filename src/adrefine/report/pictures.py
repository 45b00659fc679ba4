"""Thumbnails and heat maps as data URIs; the same photo gives the same bytes."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 80  # JPEG
_STRENGTH = 0.8  # opacity of the hottest pixel
_OUTLINE = (0, 229, 255)  # cyan: the one hue that the heat colours do not have


def thumbnail(path: Path, side: int) -> NDArray[np.uint8] | None:
    """The photo as (h, w, 3), its longer side at most `side` pixels; None if it cannot be read."""
    photo = _opened(path)
    if photo is None:
        return None
    photo = photo.convert("RGB")
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(photo)


def outline(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Pixels (h, w) just around the masked area; None if the mask cannot be read or is empty."""
    from scipy.ndimage import binary_dilation

    mask = _opened(path)
    if mask is None:
        return None
    binary = Image.fromarray(np.uint8(255) * (np.asarray(mask.convert("L")) > 0))
    small = np.asarray(binary.resize((shape[1], shape[0]), Image.Resampling.BOX)) > 0  # a hairline survives
    return outline_of(binary_dilation(small, iterations=2)) if small.any() else None


def outline_of(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (h, w) just around an area (h, w)."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(area) & ~area)


def contrast(heat: NDArray) -> float:
    """How far an anomaly map's maximum stands over its median."""
    finite = _finite(heat)
    return float(finite.max() - np.median(finite))


def overlay(
    photo: NDArray[np.uint8], heat: NDArray, usual: float = 0.0, border: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """The photo in grey under its anomaly map: clear where ordinary, dark red to yellow where unusual.

    Args:
        photo: (h, w, 3).
        heat: anomaly map of any size. Its median is clear, its maximum the hottest colour.
        usual: `contrast` from which the hottest colour is reached: faint noise must not look like a find.
        border: (h, w) pixels to mark, from `outline`.
    """
    colours, opacity = heat_colours(heat, photo.shape[:2], usual)
    grey = photo.mean(axis=2, keepdims=True) * 0.85
    blended = grey * (1 - opacity) + colours * opacity
    if border is not None:
        blended[border] = _OUTLINE
    return blended.round().astype(np.uint8)


def heat_colours(heat: NDArray, shape: tuple[int, int], usual: float) -> tuple[NDArray, NDArray]:
    """Colours (h, w, 3), 0 to 255, and opacity (h, w, 1), 0 to `_STRENGTH`, of a map; see `overlay`."""
    import matplotlib

    resized = np.asarray(Image.fromarray(_finite(heat)).resize(shape[::-1], Image.Resampling.BILINEAR))
    rise = resized - np.median(resized)
    warmth = np.clip(rise / max(float(rise.max()), usual, np.finfo(np.float32).tiny), 0, 1)
    colours = matplotlib.colormaps["inferno"](0.3 + 0.67 * warmth)[..., :3] * 255
    return colours, (_STRENGTH * warmth**1.3)[..., None]


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture (h, w, 3) as a JPEG data URI; grey ones are stored as grey."""
    grey = bool((picture == picture[..., :1]).all())
    buffer = io.BytesIO()
    stored = Image.fromarray(picture[..., 0] if grey else picture)
    stored.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _finite(heat: NDArray) -> NDArray[np.float32]:
    return np.nan_to_num(np.asarray(heat, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _opened(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as photo:
            photo.load()
            return photo
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # a report with one photo missing is better than no report
