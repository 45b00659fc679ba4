"""Maps and vectors on disk: embedded once an image, the same bytes again, rows in the order asked."""

import numpy as np
import pandas as pd
import pytest

from adrefine.errors import UserError
from adrefine.params import Embed
from adrefine.places.embed import embed_places
from adrefine.places.extract import PlacesExtractor
from adrefine.places.store import Places, open_places
from trees import pixels, save

PARAMS = Embed(backbone="efficientnet_lite0", places={"side": 32, "grid": 1, "components": 8})


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    names = ["b", "c", "a"]
    paths = [str(save(folder / f"{name}.png", pixels(seed, 32, 32))) for seed, name in enumerate(names)]
    return pd.DataFrame({"image_id": names, "path": paths})


def _content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_rows_are_what_the_extractor_made_of_each_photo(images, tmp_path):
    from adrefine.features.extract import read_image

    done = embed_places(images, PARAMS, tmp_path / "places", tmp_path / "cache")

    places, extractor = open_places(tmp_path / "places"), PlacesExtractor(PARAMS)
    assert done == {"images": 3, "computed": 3}
    assert places.ids == ["a", "b", "c"]
    expected = [extractor.split(extractor.extract(read_image(path)[None])[0]) for path in images["path"]]
    np.testing.assert_array_equal(places.maps(["b", "c", "a"]), [maps for maps, _ in expected])
    np.testing.assert_array_equal(places.pooled(["b", "c", "a"]), [pooled for _, pooled in expected])
    assert places.maps(["a"]).shape == (1, 1, 16)
    assert places.meta["channels"] == 16


def test_the_kind_of_a_synthetic_defect_is_kept(images, tmp_path):
    made = images.assign(kind=["scratch", np.nan, "blob"])
    embed_places(made, PARAMS, tmp_path / "places", tmp_path / "cache")
    assert open_places(tmp_path / "places").kinds(["a", "b", "c"]) == ["blob", "scratch", ""]
    embed_places(images, PARAMS, tmp_path / "photos", tmp_path / "cache")
    assert open_places(tmp_path / "photos").kinds(["c", "a"]) == ["", ""]


def test_again_nothing_is_computed_and_the_bytes_are_the_same(images, tmp_path):
    for run, computed in (("first", 3), ("second", 0)):
        done = embed_places(images, PARAMS, tmp_path / run, tmp_path / "cache")
        assert done["computed"] == computed
    assert _content(tmp_path / "first") == _content(tmp_path / "second")


def test_another_grid_is_computed_anew_and_other_pooled_scales_are_not(images, tmp_path):
    embed_places(images, PARAMS, tmp_path / "places", tmp_path / "cache")
    scales = PARAMS.model_copy(update={"scales": [64], "views": 2})
    assert embed_places(images, scales, tmp_path / "scales", tmp_path / "cache")["computed"] == 0
    finer = PARAMS.model_copy(update={"places": PARAMS.places.model_copy(update={"grid": 2})})
    assert embed_places(images, finer, tmp_path / "finer", tmp_path / "cache")["computed"] == 3


def test_what_is_missing_says_what_to_run(images, tmp_path):
    embed_places(images, PARAMS, tmp_path / "places", tmp_path / "cache")
    with pytest.raises(UserError, match=r"has no maps of image 'x'.*dvc repro embed"):
        Places(tmp_path / "places").pooled(["x"])
    with pytest.raises(UserError, match="holds no maps"):
        Places(tmp_path / "nowhere")
