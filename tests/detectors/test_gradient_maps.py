"""Maps show where the score comes from, whatever the views, and cost no trace in the detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adrefine.backbones.engine import Torch
from adrefine.detectors import Images
from adrefine.detectors import gradient_maps as module
from adrefine.detectors.differnet.detector import DifferNet
from adrefine.detectors.differnet.settings import Settings
from adrefine.detectors.gradient_maps import gradient_maps
from adrefine.features.store import Store
from adrefine.params import Runtime
from trees import pixels, save

META = {"backbone": "efficientnet_lite0", "weights": None, "scales": [32], "rotate": True}


class Mean:
    """In place of the backbone: the vector is the photo itself, shrunk to 8 × 8."""

    def __init__(self, params, runtime=None) -> None:
        self.params, self.device = params, torch.device("cpu")

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 8).mean(dim=1).flatten(1)


@pytest.mark.parametrize("views", [1, 3, 4, 8])
@pytest.mark.parametrize("rotate", [True, False])
def test_a_bright_blob_that_makes_the_score_is_where_the_map_is_highest(tmp_path, monkeypatch, views, rotate):
    """Views are turned back: blobs of a photo and of its turned views fall on the same place."""
    monkeypatch.setattr(module, "Extractor", Mean)
    photo = np.full((64, 64), 60, np.uint8)
    photo[14:26, 34:46] = 250
    file = save(tmp_path / "photo.png", photo)
    heat = gradient_maps(lambda v: (v**4).sum(dim=1), {**META, "views": views, "rotate": rotate}, [file])[0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 14 <= row < 26
    assert 34 <= column < 46
    assert heat[14:26, 34:46].mean() > 5 * np.median(heat)


def test_maps_of_a_real_detector_have_the_shape_of_the_photos_and_are_not_negative(embedded):
    detector = DifferNet(Settings(hidden=4, blocks=1, epochs=1, holdout=0))
    images = Images(tuple(embedded.images["image_id"]), embedded.store.parent)
    detector.fit(images)
    files = [Path(path) for path in embedded.images["path"]]
    maps = detector.maps(images, files)
    assert maps.shape == (8, 32, 32)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.std(axis=(1, 2)).min() > 0
    np.testing.assert_allclose(
        detector.maps(images.only(["p5"]), files[5:6])[0], maps[5], rtol=1e-4, atol=1e-9
    )


def test_the_gradient_is_that_of_the_score(embedded, monkeypatch):
    """Against finite differences of one view, unsmoothed; in double precision, for kinks are close."""
    monkeypatch.setattr(module, "_SIGMA", 1e-9)
    meta = {**Store(embedded.store).meta, "views": 1}
    file = Path(embedded.images["path"][0])
    weights = torch.linspace(-1, 1, meta["dim"])
    heat = gradient_maps(lambda v: v @ weights, meta, [file])[0]
    extractor = module.Extractor(embedded.params.model_copy(update={"views": 1}), Runtime(engine="torch"))
    extractor.engine = Torch(extractor.engine.net, torch.device("cpu"), torch.float64)
    photo, step = module.read_image(file)[None].double(), 3e-5
    for row, column in ((3, 4), (16, 16), (28, 9)):
        nudge = torch.zeros_like(photo)
        nudge[..., row, column] = step
        with torch.no_grad():
            high, low = (extractor.pooled(photo + sign * nudge) @ weights.double() for sign in (1, -1))
        assert abs(float(high - low)) / (2 * step) == pytest.approx(heat[row, column], rel=1e-3)


def test_photos_with_several_channels_and_none_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Extractor", Mean)
    file = save(tmp_path / "photo.png", np.stack([pixels(0, 24, 20)] * 3, axis=2))
    meta = {**META, "views": 2}
    assert gradient_maps(lambda v: v.sum(dim=1), meta, [file]).shape == (1, 20, 24)
    assert len(gradient_maps(lambda v: v.sum(dim=1), meta, [])) == 0
