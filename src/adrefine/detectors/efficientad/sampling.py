"""Which window of which image a training step sees, and how it is changed: by seed, image id and step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from adrefine.detectors.efficientad.augment import appearance
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.photos import Photos, Window
from adrefine.runtime.seeds import derived_seed


@dataclass(frozen=True)
class Item:
    """One training input.

    Attributes:
        pixels: (3, side, side) in 0..1. mask: (side, side), True where a synthetic defect lies.
        window: where the pixels come from if they are unchanged: the teacher has seen them before; else None.
        generic: (3, side, side) of a generic image, None where none is wanted.
        seed: of what the autoencoder drops.
    """

    pixels: torch.Tensor
    mask: torch.Tensor
    window: Window | None
    generic: torch.Tensor | None
    seed: int


def draw(image_id: str, step: int, photos: Photos, settings: Settings) -> Item:
    """The input that the image gives at a step: itself or a synthetic twin, its look changed or not.

    Twins are looked up by the image, so that those of removed images are never seen.
    """
    rng = np.random.default_rng(derived_seed("efficientad", settings.seed, step, image_id))
    path = photos.path(image_id)
    windows = photos.windows(path)
    window = windows[int(rng.integers(len(windows)))]
    twins = photos.twins(image_id)
    mask = torch.zeros(photos.side, photos.side, dtype=torch.bool)
    if rng.random() < settings.synthetic and twins:
        twin = twins[int(rng.integers(len(twins)))]
        window = Window(twin.path, window.top, window.left)
        mask = photos.mask(twin.mask_path, window)
    pixels = photos.pixels(window)
    changed = rng.random() < settings.augment
    return Item(
        pixels=appearance(pixels, rng) if changed else pixels,
        mask=mask,
        window=None if changed else window,
        generic=_generic(photos, rng) if settings.coeff_ood else None,
        seed=int(rng.integers(2**62)),
    )


def _generic(photos: Photos, rng: np.random.Generator) -> torch.Tensor | None:
    """A random window of a random generic image."""
    if not photos.generic:
        return None
    path = photos.generic[int(rng.integers(len(photos.generic)))]
    windows = photos.windows(path)
    return photos.pixels(windows[int(rng.integers(len(windows)))])
