"""Localization by input gradients (DifferNet sect. 3.4, IRP sect. 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adrefine.features.extract import Extractor, read_image
from adrefine.features.views import angle_of, transform, turn
from adrefine.params import Embed, Runtime
from adrefine.runtime import hardware, progress
from adrefine.runtime.threads import in_order, workers

_SIGMA = 0.015  # smoothing, as a share of the image side


def gradient_maps(
    score: Callable[[torch.Tensor], torch.Tensor], meta: dict[str, Any], files: list[Path]
) -> np.ndarray:
    """|∂ score / ∂ pixel| averaged over channels and views, each view turned back, then smoothed.

    Args:
        score: image scores (n,) of feature vectors (n, dim), differentiable.
        meta: the feature store's meta.json, which says how the vectors were made.
        files: ingested images.

    Returns:
        (n, h, w) float32, not negative; units are score per unit of grey value.
    """
    names = ("backbone", "weights", "scales", "views", "rotate")
    params = Embed.model_validate({name: meta[name] for name in names})
    extractor = Extractor(params, Runtime(engine="torch", precision="f32"))  # bf16: too coarse to look at

    def one(path: Path) -> np.ndarray:
        return _one(read_image(path).unsqueeze(0).to(extractor.device), extractor, score)

    with workers(on_gpu=hardware.cores()) as pool:
        made = in_order(pool, one, files)
        maps = list(progress.over(made, total=len(files), label="maps", unit="image"))
    return np.stack(maps) if maps else np.zeros((0, 1, 1), np.float32)


def _one(
    image: torch.Tensor, extractor: Extractor, score: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    views, rotate = extractor.params.views, extractor.params.rotate
    total = torch.zeros_like(image[:, :1])
    for view in range(views):
        seen = transform(image, view, views, rotate).detach().requires_grad_()
        (slope,) = torch.autograd.grad(score(extractor.pooled(seen)).sum(), seen)
        total += turn(slope.abs().mean(dim=1, keepdim=True), -angle_of(view, views, rotate))
    heat = (total / views)[0, 0].cpu().numpy()
    return gaussian_filter(heat, _SIGMA * heat.shape[0]).astype(np.float32)
