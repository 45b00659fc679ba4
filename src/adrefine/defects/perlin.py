"""Stains and worn spots outlined by Perlin noise (ISP sect. 2; the masks of DRAEM)."""

from __future__ import annotations

import numpy as np

from adrefine.defects import base
from adrefine.sections import AtLeastOne, PositiveShare


class Perlin(base.Generator):
    """Blend one group of blobs into the photo; they cover about `coverage` of the image, less at its edge."""

    cells: AtLeastOne = 6
    coverage: PositiveShare = 0.03

    def apply(
        self, image: base.Image, foreground: base.Mask, rng: np.random.Generator
    ) -> tuple[base.Image, base.Mask]:
        """See `Generator.apply`."""
        from scipy import ndimage

        h, w = foreground.shape
        share = self.coverage * base.log_uniform(0.3, 1.5, rng)
        field = fractal((h, w), self.cells, rng, octaves=int(rng.integers(1, 5)))
        field -= _distance((h, w), share, base.random_point(foreground, rng), rng)
        inside = field[foreground]
        count = int(np.clip(round(share * h * w), 8, max(8, inside.size // 2)))
        level = np.partition(inside, max(0, inside.size - count))[max(0, inside.size - count)]
        opacity = base.smoothstep((field - level) / base.log_uniform(0.08, 0.8, rng))
        rows, cols = ndimage.find_objects((opacity > 0).astype(np.uint8))[0]
        window = (rows, cols)
        changed = image.copy()
        changed[window] += opacity[window][..., None] * _change(image[window], rng)
        return base.finish(image, changed, foreground)


def fractal(shape: tuple[int, int], cells: int, rng: np.random.Generator, octaves: int = 4) -> base.Float:
    """Perlin noise (h, w) of deviation about 1: `cells` a side, then octaves of half the size and height."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        if count > min(shape) // 2 and octave:
            break
        total += gradient_noise(shape, count, rng) / 2**octave
    return total / (total.std() + 1e-6)


def gradient_noise(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> base.Float:
    """One octave of Perlin's gradient noise (h, w): random slopes at the corners of `cells`² cells."""
    angle = rng.uniform(0, 2 * np.pi, (cells + 1, cells + 1)).astype(np.float32)
    slopes = np.sin(angle), np.cos(angle)
    y, x = (np.arange(size, dtype=np.float32) * (cells / size) for size in shape)
    row, col = y.astype(int), x.astype(int)
    y, x = (y - row)[:, None], (x - col)[None, :]
    corner = {}
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = np.ix_(row + dy, col + dx)
        corner[dy, dx] = slopes[0][at] * (y - dy) + slopes[1][at] * (x - dx)
    fade_y, fade_x = (t * t * t * (t * (t * 6 - 15) + 10) for t in (y, x))
    top = corner[0, 0] + fade_x * (corner[0, 1] - corner[0, 0])
    bottom = corner[1, 0] + fade_x * (corner[1, 1] - corner[1, 0])
    return (top + fade_y * (bottom - top)).astype(np.float32)


def _distance(
    shape: tuple[int, int], share: float, center: tuple[int, int], rng: np.random.Generator
) -> base.Float:
    """A bowl that keeps the blobs together about `center`: 0 there, growing with the squared distance."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    spread = share * shape[0] * shape[1] * base.log_uniform(0.3, 2, rng)
    return (((rows - center[0]) ** 2 + (cols - center[1]) ** 2) / spread).astype(np.float32)


def _change(patch: base.Image, rng: np.random.Generator) -> base.Image:
    """What the blobs do to a patch (h, w, 3): stain (keeps texture), wear (smooths), residue (covers)."""
    from scipy import ndimage

    contrast, color = base.amplitude(patch, rng), base.tint(patch, rng, 0.25)
    cloud = base.grain(patch.shape, base.log_uniform(1.5, 12, rng), rng)[..., None]
    kind = rng.choice(["stain", "wear", "residue"])
    if kind == "stain":
        return (contrast * color * (0.4 + patch) * (1 + 0.25 * cloud)).astype(np.float32)
    smooth = ndimage.gaussian_filter(patch, (base.log_uniform(1.5, 5, rng),) * 2 + (0,))
    if kind == "wear":
        return (smooth - patch + 0.5 * contrast * color).astype(np.float32)
    fine = base.grain(patch.shape, 0.7, rng)[..., None]
    cover = patch.mean(axis=(0, 1)) + contrast * color * (1 + 0.3 * cloud + 0.15 * fine)
    return (rng.uniform(0.6, 0.95) * (cover - patch)).astype(np.float32)
