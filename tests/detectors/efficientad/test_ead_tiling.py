"""Tiles: they cover everything, leave no seam, agree with the whole photo, and need little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine.detectors.efficientad import tiling
from adrefine.detectors.efficientad.maps import resized
from adrefine.detectors.efficientad.networks import student

SHAPES = st.tuples(st.integers(64, 300), st.integers(64, 300))


@given(SHAPES, st.sampled_from([64, 96, 128]), st.floats(0, 0.75))
@settings(max_examples=80, deadline=None)
def test_places_cover_the_photo_and_share_the_grid(shape, tile, overlap):
    shape = tuple(max(length, tile) for length in shape)
    covered = np.zeros(shape, bool)
    for top, left in tiling.places(*shape, tile, overlap):
        assert top + tile <= shape[0]
        assert left + tile <= shape[1]
        assert top % 4 == 0 or top == shape[0] - tile
        covered[top : top + tile, left : left + tile] = True
    assert covered.all()


@given(SHAPES, st.sampled_from([64, 96, 128]), st.floats(0, 0.75))
@settings(max_examples=60, deadline=None)
def test_a_constant_map_has_no_seams(shape, tile, overlap):
    shape = tuple(max(length, tile) for length in shape)

    def of_tile(top: int, left: int) -> np.ndarray:
        return np.stack([np.full((tile, tile), 3.0, np.float32), np.full((tile, tile), -1.0, np.float32)])

    found = tiling.blend(of_tile, shape, tile, overlap)
    np.testing.assert_allclose(found[0], 3.0, rtol=1e-5)
    np.testing.assert_allclose(found[1], -1.0, rtol=1e-5)


def test_what_a_tile_says_near_its_edge_does_not_count():
    def of_tile(top: int, left: int) -> np.ndarray:
        found = np.full((1, 96, 96), 1e6, np.float32)
        rows, cols = (
            slice(0 if not start else tiling.MARGIN - 1, 96 if start + 96 == 240 else 96 - tiling.MARGIN)
            for start in (top, left)
        )
        found[:, rows, cols] = 1.0
        return found

    np.testing.assert_allclose(tiling.blend(of_tile, (240, 240), 96, 0.25), 1.0, rtol=1e-5)


def test_tiles_that_disagree_fade_into_each_other():
    found = tiling.blend(lambda top, left: np.full((1, 128, 128), left, np.float32), (128, 256), 128, 0.5)[0]
    assert np.abs(np.diff(found, axis=1)).max() < 0.1 * 128


@pytest.mark.parametrize("padding", [True, False])
def test_tiled_features_equal_those_of_the_whole_photo_inside(padding):
    """Of a patch network: no tile's border may be felt further than MARGIN from the photo's edge."""
    torch.manual_seed(0)
    net = student("small", padding).eval()
    photo = torch.rand(1, 3, 160, 224)

    def features(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out = net(image)[:, :2]
        edge = (image.shape[-1] // 4 - out.shape[-1]) // 2
        out = torch.nn.functional.pad(out, (edge,) * 4, mode="replicate")
        return resized(out, tuple(image.shape[-2:]))

    def of_tile(top: int, left: int) -> np.ndarray:
        return features(photo[:, :, top : top + 96, left : left + 96])[0].numpy()

    tiled, whole = tiling.blend(of_tile, (160, 224), 96, 0.25), features(photo)[0].numpy()
    inside = (slice(None), slice(20, -20), slice(20, -20))
    np.testing.assert_allclose(tiled[inside], whole[inside], atol=1e-5)


def test_a_photo_of_twelve_megapixels_needs_its_maps_and_little_more():
    height, width, tile = 3000, 4000, 256
    of_tile = np.zeros((2, tile, tile), np.float32)
    tracemalloc.start()
    try:
        found = tiling.blend(lambda top, left: of_tile, (height, width), tile, 0.25)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.shape == (2, height, width)
    assert peak < 1.1 * (found.nbytes + height * width * 4) + 10 * of_tile.nbytes
