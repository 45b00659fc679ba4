"""Appearance augmentation: one random change of an image (EAD sect. 4.1.3)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

_JITTER = (0.8, 1.2)  # factors of brightness, contrast and saturation (original EfficientAD)
_SHARPNESS = (0.5, 2.0)  # 0: blurred, 1: as it is
_GAMMA = (0.8, 1.25)


def appearance(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Color jitter, sharpness or gamma, each as often: (3, h, w) in 0..1 to the same."""
    change = (color_jitter, sharpness, gamma)[int(rng.integers(3))]
    return change(image, rng).clamp(0, 1)


def color_jitter(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Change brightness, contrast and saturation."""
    brightness, contrast, saturation = rng.uniform(*_JITTER, 3).tolist()
    image = image * brightness
    image = _blend(image, image.mean().expand_as(image), contrast)
    return _blend(image, image.mean(dim=0, keepdim=True).expand_as(image), saturation)


def sharpness(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Blur or sharpen against a mean over 3 x 3 pixels."""
    smooth = F.avg_pool2d(F.pad(image[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
    return _blend(image, smooth, rng.uniform(*_SHARPNESS))


def gamma(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Raise to a power about 1."""
    return image ** float(np.exp(rng.uniform(*np.log(_GAMMA))))


def _blend(image: torch.Tensor, neutral: torch.Tensor, factor: float) -> torch.Tensor:
    return neutral + factor * (image - neutral)
