"""The generated demo: photos of one turned steel flange, good and defective, in the MVTec layout.

Each photo is a small rendering: a signed distance gives the part's outline and chamfers, concentric grooves
scatter the lamp's light along their tangent (the bow-tie highlight of turned metal, Kajiya & Kay 1989), a
camera adds exposure, blur, shot and read noise. A defect changes the metal before the camera sees it. A photo
depends on (seed, its name) alone. Nothing is shared with `adrefine.defects`: the demo must not reward a
detector for knowing our own generators.

Lengths are in units of 1/448 of the photo's side, angles in radians, light is linear with 1.0 as white.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from adrefine.errors import UserError
from adrefine.io import derived_seed, read_json, write_json

# Difficulty: scales contrast and size of every defect; lower is harder. Image AUROC of DifferNet (fast)
# trained on the 220 clean photos of 448 pixels, 4 views: .859 at 0.7, .925 at 1.0, .965 at 1.4.
SEVERITY = 1.0

VERSION = 2  # raise when the pictures change, so that an older demo on disk is made anew
MARKER = ".complete"
UNITS = 448.0
RIM, BORE, BOLT_CIRCLE, BOLT, STEP = 166.0, 54.0, 122.0, 12.0, 82.0  # radii of the flange
CHAMFER = 6.0  # width
BEVEL = 5.0  # how far a fracture slopes below the surface
POOL_PIXELS = 8_000_000  # with fewer pixels to render, starting a process pool costs more than it saves

Field = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]  # (n, 2), units
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


def generate(root: Path, size: int, seed: int, n_good: int = 300, n_defect: int = 100) -> None:
    """Write the demo below `root` in the MVTec layout as grey PNGs of `size` x `size` pixels.

    11 of 15 good photos train, the others test; the defects are spread evenly over the kinds. A complete demo
    with the same parameters is left alone, one with others is replaced. `root` appears whole or not at all.

    Raises:
        UserError: `root` holds files that the demo did not make; they are never deleted.
    """
    wanted = {"version": VERSION, "severity": SEVERITY, "size": size, "seed": seed, "n_good": n_good,
              "n_defect": n_defect}
    found = read_json(root / MARKER) if (root / MARKER).exists() else {}
    if found == wanted:
        return
    _refuse_strangers(root, found)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as scratch:
        fresh = Path(scratch) / "fresh"
        _write_photos(fresh, size, seed, plan(n_good, n_defect))
        write_json(fresh / MARKER, wanted)
        if root.exists():
            os.replace(root, Path(scratch) / "old")
        try:
            os.replace(fresh, root)
        except OSError:  # another run was faster
            if read_json(root / MARKER) != wanted:
                raise


def plan(n_good: int, n_defect: int) -> list[tuple[str, str]]:
    """Name (path below the root without suffix) and kind (`good` or a key of DEFECTS) of every photo."""
    n_train = round(n_good * 11 / 15)
    photos = [(f"train/good/{i:03d}", "good") for i in range(n_train)]
    photos += [(f"test/good/{i:03d}", "good") for i in range(n_good - n_train)]
    for place, kind in enumerate(DEFECTS):
        photos += [(f"test/{kind}/{i:03d}", kind) for i in range(len(range(place, n_defect, len(DEFECTS))))]
    return photos


def render(size: int, seed: int, name: str, kind: str) -> tuple[Bytes, Bytes]:
    """Render one photo.

    Returns:
        Photo and defect mask (0 or 255), each (size, size). The same name as `good`: the part unharmed.
    """
    draw, film, harm = (
        np.random.default_rng(derived_seed(seed, name, use)) for use in ("scene", "film", "defect"))
    scene = _scene(draw, size)
    defect = Defect(np.zeros((size, size), bool))
    if kind != "good":
        # Log-uniform: from barely visible to blatant, so that the difficulty is graded.
        defect = DEFECTS[kind](scene, harm, SEVERITY * float(np.exp(harm.uniform(np.log(0.8), np.log(4.4)))))
    return _photograph(_light(scene, draw, defect), film), defect.mask.astype(np.uint8) * 255


def _refuse_strangers(root: Path, found: dict[str, int]) -> None:
    photos = plan(found.get("n_good", 0), found.get("n_defect", 0))
    ours = {MARKER, *(f"{name}.png" for name, _ in photos), *(_mask_name(name) for name, _ in photos)}
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    if there - ours:
        raise UserError(f"{root} holds files that the demo did not make ({min(there - ours)}): "
                        "move them away, or give the demo a folder of its own")


def _mask_name(name: str) -> str:
    return name.replace("test", "ground_truth", 1) + "_mask.png"


def _write_photos(root: Path, size: int, seed: int, photos: list[tuple[str, str]]) -> None:
    write = partial(_write_photo, root, size, seed)
    workers = min(os.cpu_count() or 1, 8)
    if workers == 1 or len(photos) * size**2 < POOL_PIXELS:
        list(map(write, photos))
        return
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(write, photos, chunksize=8))


def _write_photo(root: Path, size: int, seed: int, photo: tuple[str, str]) -> None:
    name, kind = photo
    picture, mask = render(size, seed, name, kind)
    files = {f"{name}.png": picture} if kind == "good" else {f"{name}.png": picture, _mask_name(name): mask}
    for file, pixels in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / file, compress_level=1)


def _clouds(rng: np.random.Generator, size: int, cells: int) -> Field:
    """Smooth noise of unit variance at `cells` x `cells` support points."""
    grid = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))


def _grain(rng: np.random.Generator, size: int, sigma: float) -> Field:
    """Noise of about unit variance with a correlation length of `sigma` pixels."""
    noise = rng.standard_normal((size, size), dtype=np.float32)
    return gaussian_filter(noise, sigma, truncate=2.5) * (2 * math.sqrt(math.pi) * max(sigma, 0.3))


def _scene(rng: np.random.Generator, size: int) -> Scene:
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


def _light(scene: Scene, rng: np.random.Generator, defect: Defect) -> Field:
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
    belt = 0.038 * (1 + 0.07 * _clouds(rng, size, 6) + 0.13 * _grain(rng, size, 0.9 / pixel) + 0.035 * weave)
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
    slope = slope * (1 + 0.25 * _clouds(rng, scene.size, 9))
    slope += 0.02 * _grain(rng, scene.size, 0.7 / scene.pixel)
    light = 0.085 + 0.007 * _clouds(rng, scene.size, 5) + 0.08 * slope
    # The lamp above left, a weaker window to its right; near, so the half vector leans with the position.
    for azimuth, power, width in ((scene.lamp, 0.66, 0.115), (scene.lamp + 1.75, 0.15, 0.17)):
        toward = scene.toward(cos, sin, azimuth)
        tangent = scene.tilt * scene.toward(sin, -cos, azimuth) + 0.012 * _clouds(rng, scene.size, 7)
        radial = scene.tilt * toward - 0.0006 * scene.radius + slope
        light += power * np.exp(-((tangent / width) ** 2) - (radial / 0.5) ** 2)
    edge_y, edge_x = np.gradient(scene.inside / -scene.pixel)
    facing = scene.toward(edge_x, edge_y, scene.lamp)
    chamfer = 0.12 + 0.10 * facing + 0.60 * np.exp(-(((facing - 0.97) / 0.16) ** 2)) + 0.03 * slope
    return light + (chamfer - light) * (1 - scene.cover(scene.inside - CHAMFER))


def _photograph(light: Field, rng: np.random.Generator) -> Bytes:
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


def _spot(scene: Scene, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """A random place on the part at least `margin` from its edges."""
    places = np.flatnonzero(scene.inside > min(margin, float(scene.inside.max()) * 0.8))
    place = rng.choice(places)
    return float(scene.x.flat[place]), float(scene.y.flat[place])


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
    return Defect(_visible(scene, np.maximum(furrow, burr)), 1 - min(dark * strength, 0.8) * furrow,
                  min(glint * strength, 0.6) * burr)


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
    """An oily smear, or a fibre among dust."""
    return (_smear if rng.random() < 0.5 else _fibre)(scene, rng, strength)


def _smear(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    (right, down), turn = _spot(scene, rng, 14), rng.uniform(0, math.pi)
    long = 38 * strength**0.7 * rng.uniform(0.8, 1.5)
    dx, dy = scene.x - right, scene.y - down
    oval = np.hypot(scene.toward(dx, dy, turn), 2 * scene.toward(dy, -dx, turn)) / long
    ragged = 0.35 * _clouds(rng, scene.size, 16) + 0.15 * _clouds(rng, scene.size, 48)
    film = np.clip(2.5 * (1 - oval + ragged), 0, 1) * np.clip(2.2 - np.hypot(dx, dy) / long, 0, 1)
    absorbed = min(0.42 * strength, 0.75) * film * (1 - 0.25 * ragged)
    return Defect(_visible(scene, film), 1 - absorbed - 0.4 * film * (1 - film))  # darker where it dried


def _fibre(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    at = _spot(scene, rng, 14)
    points = _path(rng, at, 100 * strength**0.6 * rng.uniform(0.7, 1.4), rng.uniform(0.8, 2.6))
    widths = 2.2 * strength**0.35 * np.linspace(1.1, 0.75, len(points))
    fibre = _stroke(scene, points, widths)
    for speck in rng.normal(at, 22, (int(rng.poisson(12)), 2)):
        ends = np.stack([speck, speck + rng.normal(0, 1.5, 2)])
        fibre = np.maximum(fibre, _stroke(scene, ends, widths[:1] * 1.2))
    shift = max(1, round(2 / scene.pixel))
    shade = 0.35 * min(strength, 2) * gaussian_filter(np.roll(fibre, shift, (0, 1)), 0.8 / scene.pixel)
    opacity = min(0.75 * strength**0.8, 0.95)
    cloth = float(rng.choice((0.05, 0.42)))  # dark or light
    return Defect(_visible(scene, fibre), (1 - opacity * fibre) * (1 - shade), cloth * opacity * fibre)


def _missing_part(scene: Scene, rng: np.random.Generator, strength: float) -> Defect:
    """A chip out of the rim or the bore, or a segment broken off along a chord, with a jagged fracture."""
    spoke, form = rng.uniform(0, 2 * np.pi), rng.random()
    jagged = 1.8 * _clouds(rng, scene.size, 24) + 0.9 * _clouds(rng, scene.size, 70)
    along, across = scene.toward(scene.x, scene.y, spoke), scene.toward(scene.y, -scene.x, spoke)
    bite = max(8.5 * strength * rng.uniform(0.8, 1.2), 2 * scene.pixel)
    if form < 0.3:  # segment
        left = RIM - 0.9 * bite - along + jagged
    else:
        edge = RIM + 0.25 * bite if form < 0.8 else BORE - 0.25 * bite
        left = np.hypot(along - edge, across * rng.uniform(0.6, 1.0)) - bite - BEVEL / 2 + jagged * 0.8
    gone = (scene.inside > 0) & (left < 0)
    mask = gone if gone.any() else _visible(scene, 1 / (1 + np.maximum(left, 0)))
    rough = 0.15 + 0.035 * _grain(rng, scene.size, 0.8)
    return Defect(mask, left=left.astype(np.float32), rough=rough)


DEFECTS: dict[str, Callable[[Scene, np.random.Generator, float], Defect]] = {
    "scratch": _scratch, "pit": _pit, "contamination": _contamination, "missing_part": _missing_part}
