"""A photo of a turned steel flange on a rubber belt, rendered: the part, its light, the camera.

A signed distance gives the part's outline and chamfers, concentric grooves scatter the lamp's light along
their tangent (the bow-tie highlight of turned metal, Kajiya & Kay 1989), a camera adds exposure, blur, shot
and read noise. A defect changes the metal before the camera sees it.

Lengths are in units of 1/448 of the photo's side, angles in radians, light is linear with 1.0 as white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

UNITS = 448.0
RIM, BORE, BOLT_CIRCLE, BOLT, STEP = 166.0, 54.0, 122.0, 12.0, 82.0  # radii of the flange
CHAMFER = 6.0  # width
BEVEL = 5.0  # how far a fracture slopes below the surface

Field = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """How one part lies under the lamp. Fields are (size, size) and start at the part's centre."""

    size: int
    pixel: float  # units
    x: Field
    y: Field
    radius: Field
    inside: Field  # distance to the nearest edge of the part, negative off the part
    lamp: float  # azimuth the light comes from
    tilt: float  # horizontal part of the unit vector halfway between lamp and camera

    def toward(self, x: Field, y: Field, azimuth: float) -> Field:
        """Component of the vectors (x, y) toward an azimuth."""
        return x * math.cos(azimuth) + y * math.sin(azimuth)

    def cover(self, distance: Field) -> Field:
        """Share of each pixel on the positive side of a distance: anti-aliased edges."""
        return np.clip(distance / self.pixel + 0.5, 0, 1)


@dataclass(frozen=True)
class Defect:
    """What a defect does to the metal: light * gain + add; where `left` is negative a piece is gone."""

    mask: npt.NDArray[np.bool_]
    gain: Field | float = 1.0
    add: Field | float = 0.0
    left: Field | None = None
    rough: Field | float = 0.0  # light from the fracture, beside that of its slope


def clouds(rng: np.random.Generator, size: int, cells: int) -> Field:
    """Smooth noise of unit variance at `cells` x `cells` support points."""
    grid = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))


def grain(rng: np.random.Generator, size: int, sigma: float) -> Field:
    """Noise of about unit variance with a correlation length of `sigma` pixels."""
    noise = rng.standard_normal((size, size), dtype=np.float32)
    return gaussian_filter(noise, sigma, truncate=2.5) * (2 * math.sqrt(math.pi) * max(sigma, 0.3))


def lay_down(rng: np.random.Generator, size: int) -> Scene:
    """Lay the part down: shift up to 4 % of the photo, any rotation, scale +-2.5 %, lamp nearly fixed."""
    right, down = rng.uniform(-0.04, 0.04) * UNITS, rng.uniform(-0.04, 0.04) * UNITS
    turn, scale = rng.uniform(0, 2 * math.pi), rng.uniform(0.975, 1.025)
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (UNITS / size) - UNITS / 2
    x, y = np.meshgrid((axis - right) / scale, (axis - down) / scale)
    radius = np.sqrt(x * x + y * y) + 1e-3
    lamp = rng.normal(-2.2, 0.06)
    inside = _outline(x, y, radius, turn)
    return Scene(size, UNITS / size, x, y, radius, inside, lamp, rng.normal(0.34, 0.012))


def _outline(x: Field, y: Field, radius: Field, turn: float) -> Field:
    """Signed distance to the edges of the flange: rim, bore with keyway, six bolt holes."""
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    keyway = np.maximum(np.maximum(np.abs(across) - 10, along - BORE - 13), -along)
    inside = np.minimum(np.minimum(RIM - radius, radius - BORE), keyway)
    # The nearest hole has the largest component along its spoke; holes face each other in pairs.
    spokes = [turn + math.pi / 6 + i * math.pi / 3 for i in range(3)]
    nearest = np.abs(x * math.cos(spokes[0]) + y * math.sin(spokes[0]))
    for spoke in spokes[1:]:
        nearest = np.maximum(nearest, np.abs(x * math.cos(spoke) + y * math.sin(spoke)))
    square = np.maximum(radius * radius + BOLT_CIRCLE**2 - 2 * BOLT_CIRCLE * nearest, 0)
    return np.minimum(inside, np.sqrt(square) - BOLT)


def light_of(scene: Scene, rng: np.random.Generator, defect: Defect) -> Field:
    """Light that reaches the camera, (size, size): floor, shadow, part."""
    light = _floor(scene, rng)
    surface = _metal(scene, rng) * defect.gain + defect.add
    solid, base = scene.cover(scene.inside), scene.inside
    if defect.left is not None:
        # Fractured metal slopes down from the break: dull and coarse.
        slope_y, slope_x = np.gradient(gaussian_filter(defect.left, 1.0))
        facing = scene.toward(slope_x, slope_y, scene.lamp) / scene.pixel
        fracture = np.clip(defect.rough + 0.10 * facing, 0.02, 1)
        surface = fracture + (surface - fracture) * scene.cover(defect.left)
        solid, base = solid * scene.cover(defect.left + BEVEL), np.minimum(base, defect.left + BEVEL)
    light *= 1 - 0.85 * _shadow(scene, base)
    light += (surface - light) * solid
    falloff = scene.toward(scene.x, scene.y, scene.lamp)
    return light * (1 + 0.0011 * falloff - 1.6e-6 * scene.radius**2) * rng.lognormal(0, 0.045)


def _floor(scene: Scene, rng: np.random.Generator) -> Field:
    """A dark rubber belt: grain, faint weave, wear and a few specks of dust."""
    size, pixel = scene.size, scene.pixel
    x, y = scene.x[0], scene.y[:, :1]
    weave = np.cos(1.8 * x + rng.uniform(0, 6)) - np.cos(1.8 * y + rng.uniform(0, 6))
    belt = 0.038 * (1 + 0.07 * clouds(rng, size, 6) + 0.13 * grain(rng, size, 0.9 / pixel) + 0.035 * weave)
    for _ in range(rng.poisson(3)):
        right, down = rng.uniform(-UNITS / 2, UNITS / 2), rng.uniform(-UNITS / 2, UNITS / 2)
        sharp = 0.5 / rng.uniform(0.6, 1.3) ** 2
        belt += rng.uniform(0.02, 0.08) * np.exp(-sharp * (x - right) ** 2) * np.exp(-sharp * (y - down) ** 2)
    return np.maximum(belt, 0.004)


def _shadow(scene: Scene, base: Field) -> Field:
    """Soft shadow of the part, thrown away from the lamp, darkest along the edge, (size, size) in 0 to 1."""
    solid = scene.cover(base)
    pixels = 12 / scene.pixel
    shift = (round(-math.sin(scene.lamp) * pixels), round(-math.cos(scene.lamp) * pixels))
    thrown = gaussian_filter(np.roll(solid, shift, (0, 1)), 5 / scene.pixel, truncate=2.5)
    contact = np.exp(np.minimum(base, 0) / 4)
    return np.maximum(thrown, 0.85 * contact)


def _grooves(rng: np.random.Generator, pixel: float) -> Field:
    """Slope of the turned surface along the radius, eight samples a unit: feed, tool wear, deeper lines."""
    at = np.arange(8 * 240) / 8
    finest = 8 * max(0.7, 0.6 * pixel)
    fine, coarse = (gaussian_filter1d(rng.standard_normal(len(at)), sigma) for sigma in (finest, 3 * finest))
    feed = np.sin(2 * np.pi * at / rng.uniform(5.2, 5.8) + rng.uniform(0, 6))
    slope = 0.075 * fine / fine.std() + 0.035 * coarse / coarse.std() + 0.035 * feed
    for line in rng.uniform(BORE, RIM, rng.poisson(3)):
        slope += rng.normal(0, 0.10) * np.exp(-((at - line) ** 2) / 2)
    step = np.exp(-(((at - STEP) / 1.6) ** 2))  # the raised hub ends here
    return (slope + 0.55 * step).astype(np.float32)


def _metal(scene: Scene, rng: np.random.Generator) -> Field:
    """Light from the turned face and its chamfers, (size, size)."""
    cos, sin = scene.x / scene.radius, scene.y / scene.radius
    slope = _grooves(rng, scene.pixel)[np.minimum(scene.radius * 8, 1900).astype(np.int32)]
    slope = slope * (1 + 0.25 * clouds(rng, scene.size, 9))
    slope += 0.02 * grain(rng, scene.size, 0.7 / scene.pixel)
    light = 0.085 + 0.007 * clouds(rng, scene.size, 5) + 0.08 * slope
    # The lamp above left, a weaker window to its right; near, so the half vector leans with the position.
    for azimuth, power, width in ((scene.lamp, 0.66, 0.115), (scene.lamp + 1.75, 0.15, 0.17)):
        toward = scene.toward(cos, sin, azimuth)
        tangent = scene.tilt * scene.toward(sin, -cos, azimuth) + 0.012 * clouds(rng, scene.size, 7)
        radial = scene.tilt * toward - 0.0006 * scene.radius + slope
        light += power * np.exp(-((tangent / width) ** 2) - (radial / 0.5) ** 2)
    edge_y, edge_x = np.gradient(scene.inside / -scene.pixel)
    facing = scene.toward(edge_x, edge_y, scene.lamp)
    chamfer = 0.12 + 0.10 * facing + 0.60 * np.exp(-(((facing - 0.97) / 0.16) ** 2)) + 0.03 * slope
    return light + (chamfer - light) * (1 - scene.cover(scene.inside - CHAMFER))


def photograph(light: Field, rng: np.random.Generator) -> Bytes:
    """Camera: glare, exposure, lens blur, shot and read noise, tone curve to 8 bit."""
    size, unit = len(light), len(light) / UNITS
    small = gaussian_filter(np.asarray(Image.fromarray(light).reduce(4)), 3 * unit)
    glare = np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BILINEAR))
    light = 0.94 * gaussian_filter(light, rng.uniform(0.55, 0.8) * unit, truncate=3) + 0.06 * glare
    light = np.maximum(light, 0)
    noise = rng.standard_normal(light.shape, dtype=np.float32) * np.sqrt(light * 2.5e-4 + 6e-6)
    light = np.maximum(light + noise, 0)
    light = np.where(light > 0.6, 0.6 + 0.4 * np.tanh((light - 0.6) / 0.4), light)  # soft saturation
    return (255 * light ** (1 / 2.2) + 0.5).astype(np.uint8)
