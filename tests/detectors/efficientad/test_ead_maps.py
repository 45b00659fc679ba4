"""From raw maps to a score: channels, quantiles, fusion, and a score that is never negative."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.detectors.efficientad.maps import Scale, framed, image_score, raw, resized, smooth, usual_of


def test_raw_maps_are_means_over_the_channels_of_the_right_half():
    rng = np.random.default_rng(0)
    teacher, autoencoder = (rng.normal(size=(2, 384, 3, 4)) for _ in "ab")
    student = rng.normal(size=(2, 768, 3, 4))
    found = raw(*(torch.from_numpy(values) for values in (teacher, student, autoencoder)))
    assert found.shape == (2, 2, 3, 4)
    for i, y, x in np.ndindex(2, 3, 4):
        local = sum((teacher[i, c, y, x] - student[i, c, y, x]) ** 2 for c in range(384)) / 384
        overall = sum((autoencoder[i, c, y, x] - student[i, 384 + c, y, x]) ** 2 for c in range(384)) / 384
        assert float(found[i, 0, y, x]) == pytest.approx(local)
        assert float(found[i, 1, y, x]) == pytest.approx(overall)


def test_the_quantiles_of_good_maps_go_to_0_and_a_tenth():
    rng = np.random.default_rng(1)
    good = [np.exp(rng.normal(size=(2, 10, 12))).astype(np.float32) * [[[1]], [[50]]] for _ in range(5)]
    scale = Scale.of(iter(good), 0.9, 0.995)
    for alpha, kind in ((1.0, 0), (0.0, 1)):
        fused = np.concatenate([scale.fused(found, alpha).ravel() for found in good])
        assert np.quantile(fused, 0.9) == pytest.approx(0, abs=1e-6)
        assert np.quantile(fused, 0.995) == pytest.approx(0.1, abs=1e-5)
        assert scale.low[kind, 0, 0] == pytest.approx(np.quantile([found[kind] for found in good], 0.9))


def test_large_maps_are_thinned_and_give_nearly_the_same_quantiles():
    y, x = np.mgrid[:1000, :900].astype(np.float32)
    maps = np.stack([y / 1000, x / 900])
    np.testing.assert_allclose(Scale.of([maps], 0.9, 0.995).low.ravel(), 0.9, atol=0.02)


@given(st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_alpha_weighs_the_two_maps(alpha):
    maps = np.random.default_rng(2).random((2, 4, 4)).astype(np.float32)
    scale = Scale(*(np.array(two)[:, None, None] for two in ((0.1, 0.2), (0.5, 0.9))))
    expected = alpha * 0.1 * (maps[0] - 0.1) / 0.4 + (1 - alpha) * 0.1 * (maps[1] - 0.2) / 0.7
    np.testing.assert_allclose(scale.fused(maps, alpha), expected, rtol=1e-4, atol=1e-6)


def test_what_is_usual_at_a_place_is_its_mean_and_deviation_over_photos_and_a_tenth_of_the_mean_one():
    maps = np.random.default_rng(3).random((7, 2, 5, 6)) + np.array([0, 9])[:, None, None]
    mean, spread = usual_of(iter(maps))
    deviation = maps.std(axis=0)
    np.testing.assert_allclose(mean[1, 2, 3], maps[:, 1, 1:4, 2:5].mean())
    even = 0.1 * smooth(deviation[1]).mean()
    np.testing.assert_allclose(spread[1, 2, 3], deviation[1, 1:4, 2:5].mean() + even, rtol=1e-6)


def test_deviations_of_each_place_find_a_small_step_where_little_varies():
    """Quantiles of all places see the noise at the edge alone."""
    rng = np.random.default_rng(4)
    wild = np.where(np.arange(20) < 3, 10.0, 0.1)  # deviation of each column
    good = (5 + wild * rng.normal(size=(40, 2, 20, 20))).astype(np.float32)
    odd = good[0].copy()
    odd[:, 12, 12] += 3
    mean, spread = usual_of(good[1:])
    placed = Scale.of([(one - mean) / spread for one in good[1:]], 0.9, 0.995).at(mean, spread)
    assert np.unravel_index(placed.fused(odd, 0.9).argmax(), (20, 20)) == (12, 12)
    assert Scale.of(good[1:], 0.9, 0.995).fused(odd, 0.9).argmax() % 20 < 3
    for alpha in (0.0, 1.0):
        fused = np.stack([placed.fused(one, alpha) for one in good[1:]])
        assert np.quantile(fused, 0.9) == pytest.approx(0, abs=1e-5)
        assert np.quantile(fused, 0.995) == pytest.approx(0.1, abs=1e-4)


def test_maps_that_never_vary_do_not_explode():
    scale = Scale.of([np.full((2, 4, 4), 0.3, np.float32)], 0.9, 0.995)
    assert np.isfinite(scale.fused(np.full((2, 4, 4), 0.3, np.float32), 0.5)).all()


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=20))
@settings(max_examples=60, deadline=None)
def test_scores_are_positive_and_keep_the_order(values):
    scores = [image_score(np.array([[value, value - 1]], np.float32)) for value in values]
    assert min(scores) > 0
    for a, b in pairwise(values):
        first, second = (image_score(np.array([[value]], np.float32)) for value in (a, b))
        if a > b and a > -10:  # far below, floats run out
            assert first > second


def test_the_score_is_the_maximum_from_the_bend_on_and_smooth_there():
    assert image_score(np.array([[0.3, -2.0], [0.1, 0.7]], np.float32)) == pytest.approx(0.7)
    step = 1e-4
    below, at, above = (image_score(np.array([[0.02 + k * step]])) for k in (-1, 0, 1))
    assert above - at == pytest.approx(step)
    assert at - below == pytest.approx(step, rel=0.01)


def test_a_frame_repeats_the_nearest_value():
    maps = torch.arange(8.0).view(1, 2, 2, 2)
    found = framed(maps, 6)
    assert found.shape == (1, 2, 6, 6)
    assert torch.equal(found[:, :, 2:4, 2:4], maps)
    assert (found[0, 0, :3, :3] == 0).all()
    assert framed(maps, 2) is maps


def test_resizing_keeps_a_constant_and_the_place_of_a_peak():
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, 2, 5] = 1
    large = resized(maps, (64, 80))
    y, x = divmod(int(large.argmax()), 80)
    assert (y // 8, x // 10) == (2, 5)
    torch.testing.assert_close(
        resized(torch.full((1, 1, 8, 8), 2.0), (30, 50)), torch.full((1, 1, 30, 50), 2.0)
    )
