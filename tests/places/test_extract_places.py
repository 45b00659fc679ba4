"""Maps of places: averages of two blocks on one grid, mixed down by a matrix that keeps distances."""

import numpy as np
import pytest
import torch

from adrefine import backbones
from adrefine.errors import UserError
from adrefine.features.extract import resize
from adrefine.params import Embed
from adrefine.places.extract import PlacesExtractor, reduction

LITE0 = {"backbone": "efficientnet_lite0"}
SMALL = {"side": 64, "grid": 2}


def _params(**places):
    return Embed(**LITE0, places={**SMALL, **places})


@pytest.fixture(scope="module")
def extractor():
    return PlacesExtractor(_params())


@pytest.fixture(scope="module")
def photos():
    return torch.rand(4, 3, 80, 80, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_maps_and_vector_equal_a_naive_computation(extractor, photos):
    net = backbones.load(_params())
    net.choose((9, 14))
    matrix = reduction((112, 192), _params().places).double().numpy()
    deep, deeper = (found[0].double().numpy() for found in net(resize(photos[2:3], 64)))
    assert (deep.shape, deeper.shape) == ((112, 4, 4), (192, 2, 2))
    places = []
    for row in range(2):
        for column in range(2):
            patch = deep[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            places.append(np.concatenate([patch.mean(axis=(1, 2)), deeper[:, row, column]]) @ matrix)
    vector = [value for block in (deep, deeper) for value in (block.mean((1, 2)), block.std((1, 2)))]

    maps, pooled = extractor.split(extractor.extract(photos)[2])

    assert maps.dtype == pooled.dtype == np.float16
    np.testing.assert_allclose(maps.astype(float), places, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(pooled.astype(float), np.concatenate(vector), rtol=2e-3, atol=2e-3)


def test_mixtures_are_orthonormal_within_a_block_and_follow_the_seed():
    settings = _params().places

    matrix = reduction((112, 30), settings).double()

    assert matrix.shape == (142, 48 + 30)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(78, dtype=torch.float64), rtol=0, atol=1e-6)
    assert not matrix[:112, 48:].any()
    assert not matrix[112:, :48].any()
    assert torch.equal(matrix, reduction((112, 30), settings).double())
    assert not torch.equal(matrix, reduction((112, 30), _params(seed=1).places).double())


def test_a_choice_takes_whole_channels_of_all_blocks_each_once():
    matrix = reduction((24, 40, 112), _params(reduce="choice", components=100).places)

    assert matrix.shape == (176, 100)
    assert (matrix.sum(dim=0) == 1).all()
    assert set(matrix.sum(dim=1).tolist()) == {0.0, 1.0}
    assert min(part.sum() for part in matrix.split((24, 40, 112))) > 0


def test_early_blocks_have_strides_4_8_and_16_and_repeat_where_the_grid_is_finer(photos):
    found = PlacesExtractor(_params(blocks="early", reduce="choice", components=176, grid=16))
    maps, _ = found.split(found.extract(photos)[0])
    grid = maps.reshape(16, 16, 176)
    assert np.unique(grid[..., 0]).size > 200  # stride 4: 16 places a side
    coarse = grid[..., 64:]  # stride 16: 4 a side
    np.testing.assert_array_equal(coarse, coarse[::4, ::4].repeat(4, axis=0).repeat(4, axis=1))


def test_a_grey_photo_equals_its_colour_copy(extractor, photos):
    grey = photos[:2, :1]
    np.testing.assert_array_equal(extractor.extract(grey), extractor.extract(grey.expand(-1, 3, -1, -1)))


def test_blocks_can_be_listed_and_unknown_ones_are_refused():
    listed = PlacesExtractor(_params(blocks=[14, 9]))
    assert listed.maps == (4, 96)
    assert listed.pooled == 2 * (112 + 192)
    with pytest.raises(UserError, match=r"embed.places.blocks = \[9, 17\]: .* 0 to 15"):
        PlacesExtractor(_params(blocks=[9, 17]))
