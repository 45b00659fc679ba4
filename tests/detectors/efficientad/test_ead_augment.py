"""Appearance augmentation: small, one at a time, by its generator alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adrefine.detectors.efficientad import augment

CHANGES = [augment.color_jitter, augment.sharpness, augment.gamma]


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_visible_bounded_and_repeatable(image, change):
    found = change(image, rng(1))
    assert found.shape == image.shape
    assert torch.equal(found, change(image, rng(1)))
    assert not torch.equal(found, change(image, rng(2)))
    assert 0 < (found - image).abs().mean() < 0.2


def test_exactly_one_change_is_made_and_each_comes_up(image):
    seen = set()
    for seed in range(30):
        found = augment.appearance(image, rng(seed))
        assert found.min() >= 0
        assert found.max() <= 1
        after_choice = rng(seed)
        chosen = int(after_choice.integers(3))
        torch.testing.assert_close(found, CHANGES[chosen](image, after_choice).clamp(0, 1))
        seen.add(chosen)
    assert seen == {0, 1, 2}


def test_a_constant_image_has_no_sharpness_to_change():
    flat = torch.full((3, 8, 8), 0.4)
    torch.testing.assert_close(augment.sharpness(flat, rng()), flat)


def test_gamma_moves_all_pixels_one_way_and_keeps_black_and_white():
    image = torch.linspace(0, 1, 64).view(1, 8, 8).expand(3, -1, -1)
    for seed in range(5):
        change = augment.gamma(image, rng(seed)) - image
        assert (change >= 0).all() or (change <= 0).all()
        assert change[0, 0, 0] == change[0, -1, -1] == 0


def test_a_grey_image_stays_grey():
    grey = torch.rand(1, 8, 8).expand(3, -1, -1)
    for change in CHANGES:
        found = change(grey, rng(3))
        torch.testing.assert_close(found[0], found[1])
