"""Streamed mean and deviation are those of all maps at once, and few images are in memory at a time."""

from __future__ import annotations

from pathlib import Path

import torch

from adrefine.distillation import moments
from adrefine.distillation.images import whole


def test_mean_and_deviation(photos):
    paths = [Path(path) for path in photos["path"]]
    mean, std = moments.of_images(lambda images: images * 3 - 1, paths, 32)
    images = torch.stack([whole(path, 32) for path in paths]).double() / 255 * 3 - 1
    torch.testing.assert_close(mean.double(), images.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(std.double(), images.std((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)


def test_sample_depends_on_names_and_seed(photos):
    names = photos["image_id"].tolist()
    paths = [Path(path) for path in photos["path"]]
    some = moments.sample(paths, names, 5, 0)
    assert some == moments.sample(paths[::-1], names[::-1], 5, 0)
    assert some == moments.sample(paths, names, 12, 0)[:5]
    assert some != moments.sample(paths, names, 5, 1)
