"""Patches of random noise: a few small regions replaced by grain (EAD sect. 4.1, docs/methods.md 5)."""

from __future__ import annotations

import numpy as np

from adrefine.defects import base
from adrefine.sections import AtLeastOne, PositiveShare


class NoisePatch(base.Generator):
    """Replace 1 to `max_patches` soft-edged patches by noise; sides are a share of the image's shorter."""

    max_patches: AtLeastOne = 4
    min_side: PositiveShare = 0.025
    max_side: PositiveShare = 0.1

    def apply(
        self, image: base.Image, foreground: base.Mask, rng: np.random.Generator
    ) -> tuple[base.Image, base.Mask]:
        """See `Generator.apply`."""
        changed = image.copy()
        for _ in range(rng.integers(1, self.max_patches + 1)):
            side = rng.uniform(self.min_side, max(self.min_side, self.max_side)) * min(foreground.shape)
            radii = (side / 2, side / 2 * rng.uniform(0.4, 1))
            window, opacity = base.blob(
                base.random_point(foreground, rng), radii, foreground.shape, rng, square=rng.uniform(2, 6)
            )
            opacity *= rng.uniform(0.5, 1)
            patch = changed[window]
            changed[window] += opacity[..., None] * (_noise(patch, side, rng) - patch)
        return base.finish(image, changed, foreground)


def _noise(patch: base.Image, side: float, rng: np.random.Generator) -> base.Image:
    """Grain about the patch's own mean color, brighter or darker, in the size of `patch` (h, w, 3)."""
    contrast = base.amplitude(patch, rng)
    shift = rng.uniform(0, 1) * contrast  # part of the contrast moves the mean, the rest is grain
    texture = base.grain(patch.shape, base.log_uniform(0.25, max(0.5, side / 6), rng), rng)
    change = shift + (0.6 * abs(contrast) - 0.4 * abs(shift)) * texture
    noise = patch.mean(axis=(0, 1)) + change[..., None] * base.tint(patch, rng)
    return noise.astype(np.float32)
