"""A synthetic defect: one dark or bright round dot with a soft edge."""

from __future__ import annotations

import numpy as np

from adrefine.defects import base
from adrefine.sections import PositiveShare


class Dot(base.Generator):
    """`radius`: largest radius, as a share of the image's shorter side."""

    radius: PositiveShare = 0.05

    def apply(
        self, image: base.Image, foreground: base.Mask, rng: np.random.Generator
    ) -> tuple[base.Image, base.Mask]:
        side = rng.uniform(0.3, 1) * self.radius * min(foreground.shape)
        centre = base.random_point(foreground, rng)
        window, opacity = base.blob(centre, (side, side), foreground.shape, rng)
        changed = image.copy()
        changed[window] += opacity[..., None] * base.amplitude(image[window], rng)
        return base.finish(image, changed, foreground)
