"""Which window of which image a training step sees, and how it is changed: by seed, image id and step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from adrefine.areas import foreground
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
    """The input that the image gives at a step: itself, its twin or with noise, its look changed or not.

    Twins are looked up by the image, so that those of removed images are never seen.
    """
    rng = np.random.default_rng(derived_seed("efficientad", settings.seed, step, image_id))
    path = photos.path(image_id)
    windows = photos.windows(path)
    window = windows[int(rng.integers(len(windows)))]
    twins, literal = photos.twins(image_id), settings.patches == "noise"
    mask = torch.zeros(photos.side, photos.side, dtype=torch.bool)
    damaged = rng.random() < settings.synthetic
    if damaged and twins and not literal:
        twin = twins[int(rng.integers(len(twins)))]
        window = Window(twin.path, window.top, window.left)
        mask = photos.mask(twin.mask_path, window)
    pixels = photos.pixels(window)
    if damaged and literal:
        pixels, mask = noise_patches(pixels, rng)
    changed = rng.random() < settings.augment
    return Item(
        pixels=appearance(pixels, rng) if changed else pixels,
        mask=mask,
        window=None if changed or (damaged and literal) else window,
        generic=_generic(photos, rng) if settings.coeff_ood else None,
        seed=int(rng.integers(2**62)),
    )


def noise_patches(pixels: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Squares of the part replaced by Gaussian noise: one to four, 1/40 to 1/10 of a side (EAD sect. 4.1).

    Args:
        pixels: (3, side, side) in 0..1; stays as it is.

    Returns:
        The changed pixels and the mask (side, side) of the squares.
    """
    changed, side = pixels.clone(), pixels.shape[-1]
    mask = torch.zeros(side, side, dtype=torch.bool)
    part = foreground.find(pixels.permute(1, 2, 0).numpy(), None)
    places = np.argwhere(part)
    grey = bool((pixels == pixels[:1]).all())
    for _ in range(int(rng.integers(1, 5))):
        size = max(1, round(side * rng.uniform(1 / 40, 1 / 10)))
        corner = places[int(rng.integers(len(places)))] - size // 2
        top, left = (int(value) for value in np.clip(corner, 0, side - size))
        noise = rng.normal(0.5, 0.25, (1 if grey else 3, size, size)).clip(0, 1).astype(np.float32)
        changed[:, top : top + size, left : left + size] = torch.from_numpy(noise)
        mask[top : top + size, left : left + size] = True
    return changed, mask


def _generic(photos: Photos, rng: np.random.Generator) -> torch.Tensor | None:
    """A random window of a random generic image."""
    if not photos.generic:
        return None
    path = photos.generic[int(rng.integers(len(photos.generic)))]
    windows = photos.windows(path)
    return photos.pixels(windows[int(rng.integers(len(windows)))])
