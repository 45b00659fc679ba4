"""What every synthetic defect needs: where it may lie, how strong it is, its soft outline, its exact mask."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from adrefine.areas.foreground import Image as Image
from adrefine.areas.foreground import Mask as Mask
from adrefine.sections import Section

Float = npt.NDArray[np.float32]
Window = tuple[slice, slice]

VISIBLE = 3  # smallest change of a masked pixel, of 255 grey levels
CLEAR = 0.07  # the strong part of every defect changes the photo by at least this, 0 to 1


class Generator(Section):
    """A kind of synthetic defect: its settings in params.yaml, and how it is drawn."""

    @abstractmethod
    def apply(self, image: Image, foreground: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
        """Add one defect to `image`.

        Args:
            image: (h, w, 3), 0 to 1; stays as it is.
            foreground: (h, w), where it may lie; never empty.
            rng: where all randomness comes from.

        Returns:
            The changed image (h, w, 3) and the mask (h, w) of exactly the pixels that differ; see `finish`.
        """


def random_point(foreground: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """A foreground pixel (row, column), each equally likely."""
    flat = np.flatnonzero(foreground)
    row, column = divmod(int(flat[rng.integers(len(flat))]), foreground.shape[1])
    return row, column


def around(center: tuple[float, float], reach: float, shape: tuple[int, ...]) -> Window:
    """Rows and columns within `reach` pixels of `center` that lie in an image of `shape`; never empty."""
    low = [int(np.clip(c - reach, 0, size - 1)) for c, size in zip(center, shape[:2], strict=True)]
    high = [int(np.clip(c + reach + 1, 1, size)) for c, size in zip(center, shape[:2], strict=True)]
    return slice(low[0], high[0]), slice(low[1], high[1])


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """A number between `low` and `high`, each order of magnitude equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def amplitude(patch: Image, rng: np.random.Generator, weakest: float = CLEAR) -> float:
    """A signed brightness change that suits `patch`: subtle to clear, over its texture, within range."""
    strength = np.hypot(log_uniform(weakest, 0.4, rng), patch.mean(axis=2).std() * rng.uniform(0.8, 2))
    darker = rng.random() < np.interp(patch.mean(), [0.15, 0.5, 0.85], [0.1, 0.6, 0.9])
    return float(-strength if darker else strength)


def tint(image: Image, rng: np.random.Generator, strength: float = 0.15) -> Float:
    """Three factors about 1 that color a change; all 1 in a grey photo, so that it stays grey."""
    grey = bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    factors = 1 + rng.normal(0, strength, 3) * (not grey)
    return factors.astype(np.float32)


def grain(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> Float:
    """Random texture (h, w) of mean 0 and deviation 1 with grains of about `size` pixels."""
    from scipy import ndimage

    noise = rng.standard_normal(shape[:2], dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, size) if size > 0.3 else noise
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def blob(
    center: tuple[float, float],
    radii: tuple[float, float],
    shape: tuple[int, ...],
    rng: np.random.Generator,
    square: float = 2.0,
) -> tuple[Window, Float]:
    """A turned ellipse with a wavy, soft edge: its window and its opacity (rows, columns), 0 to 1.

    Args:
        radii: half axes in pixels.
        square: 2 is an ellipse, higher is closer to a rectangle.
    """
    turn, reach = rng.uniform(0, np.pi), 1.5 * float(np.hypot(*radii)) + 2
    rows, cols = around(center, reach, shape)
    y, x = np.mgrid[rows, cols].astype(np.float32)
    y, x = y - np.float32(center[0]), x - np.float32(center[1])
    u = (x * np.cos(turn) + y * np.sin(turn)) / max(radii[0], 0.7)
    v = (y * np.cos(turn) - x * np.sin(turn)) / max(radii[1], 0.7)
    radius = (np.abs(u) ** square + np.abs(v) ** square) ** (1 / square)
    angle, edge = np.arctan2(v, u), np.ones_like(u)
    for wave in range(2, 7):
        edge += rng.normal(0, 0.16 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    return (rows, cols), smoothstep((edge - radius) / rng.uniform(0.15, 0.5) + 0.5)


def smoothstep(value: Any) -> Float:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(value, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def finish(image: Image, changed: Image, foreground: Mask, clear: float = CLEAR) -> tuple[Image, Mask]:
    """Limit a change to the foreground, make it visible, round it to 8 bits and mask exactly what differs.

    Args:
        image, changed: (h, w, 3), 0 to 1; `changed` may exceed the range.
        clear: by how much its strong part changes the photo at least, 0 to 1.

    Returns:
        The final image (h, w, 3) in whole 1/255, and the mask (h, w): True where it differs, never empty.
    """
    result, mask = np.rint(image * 255).astype(np.int16), np.zeros(foreground.shape, bool)
    window = _window_of(changed != image)
    if window is not None:
        result[window], mask[window] = _settle(image[window], changed[window], foreground[window], clear)
    if mask.sum() < 4:
        result, mask = _spot(np.rint(image * 255).astype(np.int16), foreground)
    return (result / 255).astype(np.float32), mask


def _window_of(differs: npt.NDArray[np.bool_]) -> Window | None:
    """The rows and columns that hold every True of (h, w, 3), with a margin of two; None without any."""
    flat = differs[..., 0] | differs[..., 1] | differs[..., 2]
    spans = [np.flatnonzero(flat.any(axis=axis)) for axis in (1, 0)]
    if not spans[0].size:
        return None
    rows, cols = (slice(max(0, int(span[0]) - 2), int(span[-1]) + 3) for span in spans)
    return rows, cols


def _settle(
    image: Image, changed: Image, foreground: Mask, clear: float
) -> tuple[npt.NDArray[np.int16], Mask]:
    """`finish` for a window: grey levels of 0 to 255 (h, w, 3) and the mask, which may be empty."""
    from scipy import ndimage

    before = np.rint(image * 255).astype(np.int16)
    delta = (changed - image) * foreground[..., None]
    size = _strongest(delta)
    strong = size[size > 1 / 255]
    gain = max(1.0, clear / float(np.quantile(strong, 0.9))) if strong.size else 1.0
    after = _rounded(image + gain * delta)
    if _strongest(after - before).sum() < 127 * gain * size.sum():  # half is lost in black or white: invert
        after = _rounded(image - gain * delta)
    mask = _strongest(after - before) >= VISIBLE
    holes = ndimage.binary_closing(mask, np.ones((3, 3))) & ~mask & foreground
    nudge = np.where(before.mean(axis=2, keepdims=True) > 127, -VISIBLE, VISIBLE)
    result = np.where(mask[..., None], after, np.where(holes[..., None], before + nudge, before))
    return np.clip(result, 0, 255).astype(np.int16), mask | holes


def _strongest(change: Any) -> Any:
    """(h, w, 3) to (h, w): the largest change of any channel."""
    size = np.abs(change)
    return np.maximum(np.maximum(size[..., 0], size[..., 1]), size[..., 2])


def _rounded(image: Image) -> npt.NDArray[np.int16]:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.int16)


def _spot(before: npt.NDArray[np.int16], foreground: Mask) -> tuple[npt.NDArray[np.int16], Mask]:
    """The last resort for a change that nobody could see: a spot in the middle of the foreground."""
    h, w = foreground.shape
    y, x = np.argwhere(foreground)[foreground.sum() // 2]
    rows, cols = np.ogrid[:h, :w]
    mask = ((rows - y) ** 2 + (cols - x) ** 2 <= max(1.5, 0.01 * min(h, w)) ** 2) & foreground
    inverted = np.where(before > 127, before - 60, before + 60)
    return np.where(mask[..., None], inverted, before).astype(np.int16), mask
