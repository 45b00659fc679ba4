"""Localization by input gradients (DifferNet sect. 3.4, IRP sect. 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adrefine.features.extract import Extractor, of_meta, read_image
from adrefine.features.views import angle_of, transform, turn
from adrefine.params import Runtime
from adrefine.runtime import hardware, progress
from adrefine.runtime.threads import in_order, workers

_SIGMA = 0.015  # smoothing, as a share of the image side


def gradient_maps(
    loss: Callable[[torch.Tensor], torch.Tensor], meta: dict[str, Any], files: list[Path]
) -> np.ndarray:
    """|∂ loss / ∂ pixel| averaged over channels and views, each view turned back, then smoothed.

    Args:
        loss: a value (n,) of each of the feature vectors (n, dim), differentiable.
        meta: the feature store's meta.json, which says how the vectors were made.
        files: ingested images.

    Returns:
        (n, h, w) float32, not negative; units are loss per unit of grey value.
    """
    params = of_meta(meta)
    extractor = Extractor(params, Runtime(engine="torch", precision="f32"))  # bf16: too coarse to look at

    def one(path: Path) -> np.ndarray:
        return _one(read_image(path).unsqueeze(0).to(extractor.device), extractor, loss)

    with workers(on_gpu=hardware.cores()) as pool:
        made = in_order(pool, one, files)
        maps = list(progress.over(made, total=len(files), label="maps", unit="image"))
    return np.stack(maps) if maps else np.zeros((0, 1, 1), np.float32)


def _one(
    image: torch.Tensor, extractor: Extractor, loss: Callable[[torch.Tensor], torch.Tensor]
) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    p = extractor.params
    total = torch.zeros_like(image[:, :1])
    for view in range(p.views):
        seen = transform(image, view, p).detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss(extractor.pooled(seen)).sum(), seen)
        total += turn(slope.abs().mean(dim=1, keepdim=True), -angle_of(view, p.views, p.rotate))
    heat = (total / p.views)[0, 0].cpu().numpy()
    return gaussian_filter(heat, _SIGMA * heat.shape[0]).astype(np.float32)
