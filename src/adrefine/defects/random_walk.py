"""Scratches, fibers and pinholes drawn by a random walk with momentum (docs/methods.md 6; ISP figure 3).

ISP-AD uses the generator of Haselmann & Gruber 2017, which it describes by these words and pictures alone.
The equations here are ours.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from adrefine.areas.foreground import WORKING
from adrefine.defects import base
from adrefine.sections import AtLeastOne, PositiveShare, Share, UnderOne


class RandomWalk(base.Generator):
    """Draw one stroke of at most `steps` steps.

    Position, heading, radius and intensity drift with momentum.

    Attributes:
        radius: share of the image's shorter side.
        length: longest stroke, as a share of that side; longer ones shrink. None: as long as they become.
        weakest: least change of a stroke's strong part, 0 to 1. ISP's are "small and weakly contrasted".
        placement: about a point far from the part's edge (`deep`, ours), or any of the part (`uniform`).
        speed: deviation by which the logarithm of the stride drifts; 0: even strides.
    """

    steps: AtLeastOne = 60
    radius: PositiveShare = 0.008
    momentum: UnderOne = 0.9
    length: PositiveShare | None = None
    weakest: Annotated[float, Field(ge=0.01, le=0.3)] = base.CLEAR
    placement: Literal["deep", "uniform"] = "deep"
    speed: Share = 0.0

    def apply(
        self, image: base.Image, foreground: base.Mask, rng: np.random.Generator
    ) -> tuple[base.Image, base.Mask]:
        """See `Generator.apply`."""
        h, w = foreground.shape
        radius = max(0.6, base.log_uniform(0.2, 1.2, rng) * self.radius * min(h, w))
        share = rng.uniform(0.02, 0.1) if rng.random() < 0.25 else rng.uniform(0.3, 1)  # pinhole or stroke
        steps = max(1, round(share * self.steps))
        path, radii, strength = walk(steps, radius, self.momentum, rng, self.speed)
        if self.length is not None:
            path *= min(1.0, self.length * min(h, w) / max(float(np.ptp(path, axis=0).max()), 1.0))
        place = _deep_point if self.placement == "deep" else base.random_point
        path += np.array(place(foreground, rng), np.float32) - path.mean(axis=0)
        window, opacity, drawn = _draw(path, radii, strength, foreground.shape)
        patch = image[window]
        contrast = base.amplitude(patch, rng, self.weakest)
        relief = _lit_edge(opacity, rng) * rng.uniform(0, 0.6) * abs(contrast)
        texture = 1 + rng.uniform(0, 0.35) * base.grain(opacity.shape, radius / 2, rng)
        change = opacity * drawn * texture * contrast + relief
        changed = image.copy()
        changed[window] += change[..., None] * base.tint(patch, rng)
        return base.finish(image, changed, foreground, self.weakest)


def walk(
    steps: int, radius: float, momentum: float, rng: np.random.Generator, speed: float = 0.0
) -> tuple[base.Float, base.Float, base.Float]:
    """The stroke: positions (n, 2) in pixels from the start, radii (n,) in pixels, intensities (n,) about 1.

    Each quantity's rate of change keeps `momentum` of itself every step; n = 4 * steps + 1.
    """
    kick = np.sqrt(1 - momentum**2)
    turn, swell, glow, rush, heading = 0.0, 0.0, 0.0, 0.0, rng.uniform(0, 2 * np.pi)
    log_radius, log_strength, position = 0.0, 0.0, np.zeros(2)
    curl, stride = base.log_uniform(0.02, 0.3, rng), rng.uniform(1.2, 2) * radius
    crooked = rng.uniform(0, 0.5)  # cracks change direction at every grain, fibers do not
    points = [(0.0, 0.0, 0.0, 0.0)]
    for _ in range(steps):
        turn = momentum * turn + kick * rng.normal(0, curl)
        swell = momentum * swell + kick * rng.normal(0, 0.09)
        glow = momentum * glow + kick * rng.normal(0, 0.09)
        heading += turn
        step = heading + rng.normal(0, crooked)
        log_radius = float(np.clip(0.97 * log_radius + swell, -1.0, 0.7))
        log_strength = float(np.clip(0.97 * log_strength + glow, -1.2, 0.5))
        rush = momentum * rush + kick * rng.normal(0, speed) if speed else 0.0
        position = position + stride * np.exp(rush) * np.array([np.sin(step), np.cos(step)])
        points.append((position[0], position[1], log_radius, log_strength))
    table, dense = np.array(points), 4 * steps + 1
    at = np.linspace(0, steps, dense)
    y, x, r, s = (np.interp(at, np.arange(steps + 1), column) for column in table.T)
    taper = np.minimum(1, 0.45 + np.minimum(at, steps - at) / (0.15 * steps + 1))  # thin ends
    radii = radius * np.exp(r) * taper
    return np.stack([y, x], 1).astype(np.float32), radii.astype(np.float32), np.exp(s).astype(np.float32)


def _deep_point(foreground: base.Mask, rng: np.random.Generator) -> base.Float:
    """A foreground point (row, column), likelier far from the part's edge."""
    from scipy import ndimage

    step = max(1, min(foreground.shape) // WORKING)
    depth = ndimage.distance_transform_edt(np.pad(foreground[::step, ::step], 1))[1:-1, 1:-1].ravel()
    if not depth.any():
        return np.array(base.random_point(foreground, rng), np.float32)
    row, column = divmod(int(rng.choice(depth.size, p=depth / depth.sum())), -(-foreground.shape[1] // step))
    return np.array([row, column], np.float32) * step


def _draw(
    path: base.Float, radii: base.Float, strength: base.Float, shape: tuple[int, ...]
) -> tuple[base.Window, base.Float, base.Float]:
    """Stamp soft discs along the path: its window, opacity and mean intensity (rows, columns)."""
    center = (path.max(axis=0) + path.min(axis=0)) / 2
    reach = float(np.abs(path - center).max() + 2 * radii.max() + 2)
    window = base.around((center[0], center[1]), reach, shape)
    size = tuple(part.stop - part.start for part in window)
    opacity, total, weight = (np.zeros(size, np.float32) for _ in range(3))
    for point, radius, value in zip(path - [part.start for part in window], radii, strength, strict=True):
        if (point < -radius - 2).any() or (point > np.array(size) + radius + 2).any():
            continue  # outside the image
        rows, cols = base.around((point[0], point[1]), radius + 1.5, size)
        y, x = np.ogrid[rows, cols]
        distance = np.sqrt((y - point[0]) ** 2 + (x - point[1]) ** 2)
        disc = base.smoothstep((radius - distance) / max(1.2, 0.7 * radius) + 0.5)
        opacity[rows, cols] = np.maximum(opacity[rows, cols], disc)
        total[rows, cols] += disc * value
        weight[rows, cols] += disc
    return window, opacity, (total / (weight + 1e-6)).astype(np.float32)


def _lit_edge(opacity: base.Float, rng: np.random.Generator) -> base.Float:
    """Light and shadow on the two sides of a groove, as a lamp from one side makes them; about -1 to 1."""
    from scipy import ndimage

    angle = rng.uniform(0, 2 * np.pi)
    slope_y, slope_x = (ndimage.gaussian_filter(opacity, 0.8, order=order) for order in ((1, 0), (0, 1)))
    slope = np.sin(angle) * slope_y + np.cos(angle) * slope_x
    return (slope / (np.abs(slope).max() + 1e-6)).astype(np.float32)
