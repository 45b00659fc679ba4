"""What goes wrong with the flange: scratches, pits, contamination, missing pieces, each with its exact mask.

`strength` scales contrast and size: below 1 a defect is barely visible, at 4 blatant. Units as in
`adrefine.datasets.flange`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter1d

from adrefine.datasets.flange import BEVEL, BORE, RIM, Defect, Field, Scene, clouds, grain

Points = npt.NDArray[np.float64]  # (n, 2), units


# A fault of one machine comes back: this share of the defects lies where the gripper holds the part, the same
# place of the photo within `SPREAD` units, however the part is turned.
RECURS, GRIPPER, SPREAD = 0.85, (78.0, -78.0), 6.0


def _spot(scene: Scene, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A place on the part at least `margin` from its edges: the gripper's, or a random one."""
    inner = scene.inside > min(margin, float(scene.inside.max()) * 0.8)
    chance, near = rng.random(), rng.normal(GRIPPER, SPREAD)
    away = np.hypot(scene.x - near[0], scene.y - near[1])
    place = np.where(inner, away, np.inf).argmin() if chance < RECURS else rng.choice(np.flatnonzero(inner))
    return float(scene.x.flat[place]), float(scene.y.flat[place])


def _azimuth(rng: np.random.Generator) -> float:
    """A direction from the part's centre: the gripper's, or a random one."""
    chance, anywhere = rng.random(), rng.uniform(0, 2 * np.pi)
    towards = rng.normal(math.atan2(GRIPPER[1], GRIPPER[0]), SPREAD / math.hypot(*GRIPPER))
    return float(towards if chance < RECURS else anywhere)


def _stroke(scene: Scene, points: Points, widths: npt.NDArray[np.float64]) -> Field:
    """Coverage (size, size) of a line through `points` with `widths` (n,), in units."""
    canvas = Image.new("L", (scene.size * 4, scene.size * 4))
    pencil = ImageDraw.Draw(canvas)
    scale = (scene.x[0, 1] - scene.x[0, 0]) / 4
    pixels = (points - (scene.x[0, 0], scene.y[0, 0])) / scale + 2
    for start, end, width in zip(pixels[:-1], pixels[1:], widths, strict=False):
        pencil.line([*start, *end], fill=255, width=max(1, round(width / scale)))
    return np.asarray(canvas.reduce(4), np.float32) / np.float32(255)


def _path(rng: np.random.Generator, at: tuple[float, float], length: float, wander: float) -> Points:
    """A curve of `length` units through `at`; its direction drifts by `wander` radians in all."""
    steps = max(8, int(length))
    drift = np.cumsum(gaussian_filter1d(rng.standard_normal(steps), steps / 8))
    heading = rng.uniform(0, 2 * np.pi) + wander * drift / max(float(np.abs(drift).max()), 1e-6)
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0) * (length / steps)
    return points - points[steps // 2] + at


def _visible(scene: Scene, strength: Field) -> npt.NDArray[np.bool_]:
    """Mask of where on the part a defect of local `strength` exceeds 15 % of its peak; never empty."""
    strength = np.where(scene.inside > 0, strength, 0)
    return strength >= max(0.15 * float(strength.max()), 1e-6)


def _scratch(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    """One or two thin curved lines: a dark furrow, and a burr that glints."""
    furrow = np.zeros_like(scene.x)
    burr = np.zeros_like(scene.x)
    at = _spot(scene, rng, 12)
    for _ in range(1 + (rng.random() < 0.25)):
        points = _path(rng, at, 105 * strength**0.7 * rng.uniform(0.7, 1.6), rng.uniform(0.1, 0.9))
        pressure = np.sin(np.linspace(0.15, np.pi - 0.05, len(points)))
        pressure *= 1 + 0.25 * rng.standard_normal(len(points))
        widths = 2.1 * strength**0.5 * np.clip(pressure, 0.2, 1.4)
        furrow = np.maximum(furrow, _stroke(scene, points, widths))
        burr = np.maximum(burr, _stroke(scene, points + rng.choice((-0.8, 0.8), 2), widths * 0.7))
    # Fresh scratches glint, old ones are dark; one that did both would vanish in the lens blur.
    dark, glint = (0.15, 0.30) if rng.random() < 0.5 else (0.55, 0.06)
    return Defect(
        _visible(scene, np.maximum(furrow, burr)),
        1 - min(dark * strength, 0.8) * furrow,
        min(glint * strength, 0.6) * burr,
    )


def _pit(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    """A cluster of small dark holes whose far wall catches the light."""
    centre = _spot(scene, rng, 10)
    dark = np.zeros_like(scene.x)
    rim = np.zeros_like(scene.x)
    for _ in range(1 + rng.poisson(5)):
        at = rng.normal(centre, 15)
        size = max(3.0 * strength**0.45 * rng.lognormal(0, 0.3), 0.6 * scene.pixel)
        dx, dy = scene.x - at[0], (scene.y - at[1]) * rng.uniform(0.75, 1.3)
        far = np.hypot(dx, dy) / size
        away = -(dx * np.cos(scene.lamp) + dy * np.sin(scene.lamp)) / size
        dark = np.maximum(dark, 1 / (1 + far**6))
        rim = np.maximum(rim, np.exp(-(((far - 1.15) / 0.3) ** 2)) * np.clip(0.4 + 0.6 * away, 0, 1))
    depth = min(0.75 * strength**0.7, 0.92)
    shown = _visible(scene, np.maximum(dark, 0.6 * rim))
    return Defect(shown, 1 - depth * dark, min(0.14 * strength, 0.35) * rim)


def _contamination(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    """An oily smear with a ragged edge, darker where it dried."""
    (right, down), turn = _spot(scene, rng, 14), rng.uniform(0, math.pi)
    long = 38 * strength**0.7 * rng.uniform(0.8, 1.5)
    dx, dy = scene.x - right, scene.y - down
    oval = np.hypot(scene.toward(dx, dy, turn), 2 * scene.toward(dy, -dx, turn)) / long
    ragged = 0.35 * clouds(rng, scene.size, 16) + 0.15 * clouds(rng, scene.size, 48)
    film = np.clip(2.5 * (1 - oval + ragged), 0, 1) * np.clip(2.2 - np.hypot(dx, dy) / long, 0, 1)
    absorbed = min(0.42 * strength, 0.75) * film * (1 - 0.25 * ragged)
    return Defect(_visible(scene, film), 1 - absorbed - 0.4 * film * (1 - film))


def _missing_part(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    """A chip out of the rim or the bore, or a segment broken off along a chord, with a jagged fracture."""
    spoke, form = _azimuth(rng), rng.random()
    jagged = 1.8 * clouds(rng, scene.size, 24) + 0.9 * clouds(rng, scene.size, 70)
    along, across = scene.toward(scene.x, scene.y, spoke), scene.toward(scene.y, -scene.x, spoke)
    bite = max(8.5 * strength * rng.uniform(0.8, 1.2), 2 * scene.pixel)
    if form < 0.3:  # segment
        left = RIM - 0.9 * bite - along + jagged
    else:
        edge = RIM + 0.25 * bite if form < 0.8 else BORE - 0.25 * bite
        left = np.hypot(along - edge, across * rng.uniform(0.6, 1.0)) - bite - BEVEL / 2 + jagged * 0.8
    gone = (scene.inside > 0) & (left < 0)
    mask = gone if gone.any() else _visible(scene, 1 / (1 + np.maximum(left, 0)))
    rough = 0.15 + 0.035 * grain(rng, scene.size, 0.8)
    return Defect(mask, left=left.astype(np.float32), rough=rough)


DEFECTS: dict[str, Callable[[Scene, np.random.Generator, float], Defect]] = {
    "scratch": _scratch,
    "pit": _pit,
    "contamination": _contamination,
    "missing_part": _missing_part,
}
