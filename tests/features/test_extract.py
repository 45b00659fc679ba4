"""The vector of a photo: plain mean and deviation of each channel, whatever shares its batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model

from adrefine import backbones
from adrefine.backbones import vision
from adrefine.features.extract import Extractor, read_image, resize
from adrefine.features.views import transform
from adrefine.params import Embed, Runtime

PARAMS = Embed(scales=[48, 32], views=3)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(PARAMS, Runtime(engine="torch"))


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.rand(5, 3, 48, 48, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def naive(photo: torch.Tensor) -> np.ndarray:
    """(views, dim) of one photo (3, h, w), value by value."""
    net, rows = backbones.load(PARAMS), []
    for view in range(PARAMS.views):
        seen, values = transform(photo[None], view, PARAMS), []
        for side in PARAMS.scales:
            for maps in net(resize(seen, side)):
                channels = maps[0].double().numpy().reshape(maps.shape[1], -1)
                values += [channel.mean() for channel in channels] + [channel.std() for channel in channels]
        rows.append(values)
    return np.array(rows)


def test_vectors_equal_a_naive_computation(extractor, photos):
    found = extractor.extract(photos)
    assert found.shape == (5, 3, extractor.dim) == (5, 3, 2 * 192 * 2)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found[2].astype(float), naive(photos[2]), rtol=2e-3, atol=2e-3)


def test_the_mean_alone_is_the_first_half_of_each_maps_values(extractor, photos):
    """DifferNet sect. 3.1 pools the mean; the deviation beside it is ours."""
    alone = Extractor(PARAMS.model_copy(update={"pool": "mean"}), Runtime(engine="torch"))
    found = alone.extract(photos)
    both = extractor.extract(photos).reshape(5, 3, 2, 2, 192)  # scales, mean and deviation, channels
    np.testing.assert_allclose(found, both[:, :, :, 0].reshape(5, 3, -1), atol=1e-3)


def test_as_published_a_view_is_three_scales_of_alexnets_256_channels(monkeypatch):
    """DifferNet sect. 3.1: 768 values; sect. 4.2: 64 turned views, without a change of light."""
    monkeypatch.setattr(vision, "network", lambda name, *_: get_model(name, weights=None))
    published = Extractor(Embed(preset="paper"), Runtime(engine="torch"))
    assert published.shape == (64, 768)
    assert published.engine.net.layers == ("features",)
    photo = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(transform(photo, 16, published.params), torch.rot90(photo, 1, (2, 3)))


def test_a_vector_does_not_depend_on_what_shares_its_batch(extractor, photos):
    together = extractor.extract(photos)
    alone = np.concatenate([extractor.extract(photo[None]) for photo in photos])
    turned = extractor.extract(photos.flip(0))[::-1]
    np.testing.assert_allclose(together, alone, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(together, turned, rtol=2e-3, atol=1e-3)


def test_a_grey_photo_equals_its_colour_copy(extractor, photos):
    grey = photos[:2, :1]
    np.testing.assert_array_equal(extractor.extract(grey), extractor.extract(grey.expand(-1, 3, -1, -1)))


def test_gradients_are_finite_also_where_a_channel_is_constant(extractor):
    flat = torch.full((1, 1, 32, 32), 0.5, requires_grad=True)
    extractor.pooled(flat).sum().backward()
    assert torch.isfinite(flat.grad).all()


def test_resize_leaves_the_right_size_alone_and_averages_when_shrinking(photos):
    assert resize(photos, 48) is photos
    checks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(1, 1, 16, 16)
    assert (resize(checks, 8) - 0.5).abs().max() < 0.1


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)])
def test_photos_are_read_between_nought_and_one(tmp_path, mode, channels):
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert found.shape == (channels, 4, 5)
    assert found.dtype == torch.float32
    assert found.unique().tolist() == [1.0]
