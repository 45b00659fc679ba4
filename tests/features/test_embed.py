"""Embedding again costs only what is new, and gives the same bytes whoever computed them and when."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adrefine.errors import UserError
from adrefine.features import compute
from adrefine.features import embed as embedding
from adrefine.features.embed import embed
from adrefine.features.extract import Extractor
from adrefine.features.store import Store
from adrefine.runtime import hardware
from trees import pixels, save


def features(folder: Path) -> bytes:
    return (folder / "features.npy").read_bytes()


def test_the_same_again_computes_nothing(embedded, tmp_path):
    counts = embed(embedded.images, embedded.params, tmp_path, embedded.cache)
    assert counts == {"images": 8, "computed": 0}
    assert features(tmp_path) == features(embedded.store)


def test_one_more_photo_computes_one(embedded, tmp_path):
    shutil.copytree(embedded.cache, tmp_path / "cache")
    new = {"image_id": "new", "path": str(save(tmp_path / "new.png", pixels(99, 32, 32)))}
    images = pd.concat([embedded.images, pd.DataFrame([new])])
    counts = embed(images, embedded.params, tmp_path / "store", tmp_path / "cache")
    assert counts == {"images": 9, "computed": 1}
    old = Store(embedded.store)
    np.testing.assert_array_equal(Store(tmp_path / "store").vectors(old.ids), old.vectors(old.ids))


def test_a_renamed_copy_is_known_and_a_changed_photo_is_not(embedded, tmp_path):
    shutil.copytree(embedded.cache, tmp_path / "cache")
    path = Path(shutil.copy(embedded.images["path"][0], tmp_path / "renamed.png"))
    copy = pd.DataFrame({"image_id": ["x"], "path": [str(path)]})
    assert embed(copy, embedded.params, tmp_path / "store", tmp_path / "cache")["computed"] == 0
    save(path, pixels(77, 32, 32))
    assert embed(copy, embedded.params, tmp_path / "store", tmp_path / "cache")["computed"] == 1


def test_a_cache_kept_by_a_killed_run_gives_the_same_bytes(embedded, tmp_path, monkeypatch):
    """The run dies at the sixth photo; what it had stored by then is used, and rightly."""
    monkeypatch.setattr(embedding, "_COMMIT", 2)
    calls, read = [], compute.read_image

    def dying(path: Path):
        calls.append(path)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(compute, "read_image", dying)
    with pytest.raises(KeyboardInterrupt):
        embed(embedded.images, embedded.params, tmp_path / "store", tmp_path / "cache")
    monkeypatch.setattr(compute, "read_image", read)
    counts = embed(embedded.images, embedded.params, tmp_path / "store", tmp_path / "cache")
    assert 0 < counts["computed"] < 8
    assert features(tmp_path / "store") == features(embedded.store)


@pytest.mark.parametrize("threads", [1, 3])
def test_order_and_number_of_threads_change_no_byte(embedded, tmp_path, monkeypatch, threads):
    monkeypatch.setattr(hardware, "cores", lambda: threads)
    shuffled = embedded.images.sample(frac=1, random_state=threads)
    counts = embed(shuffled, embedded.params, tmp_path / "store", tmp_path / "cache")
    assert counts["computed"] == 8
    for name in ("features.npy", "index.csv", "meta.json"):
        assert (tmp_path / "store" / name).read_bytes() == (embedded.store / name).read_bytes()


def test_another_setting_is_computed_anew(embedded, tmp_path):
    params = embedded.params.model_copy(update={"views": 3})
    assert embed(embedded.images[:2], params, tmp_path, embedded.cache)["computed"] == 2
    two = embedded.images["image_id"][:2]
    np.testing.assert_array_equal(
        Store(tmp_path).vectors(two)[:, 0], Store(embedded.store).vectors(two)[:, 0]
    )


def test_photos_of_several_shapes_share_a_batch(embedded, tmp_path, monkeypatch):
    monkeypatch.setitem(compute._BATCH, "cpu", 4)
    odd = save(tmp_path / "odd.png", pixels(5, 48, 32))
    images = pd.concat([embedded.images[:3], pd.DataFrame({"image_id": ["odd"], "path": [str(odd)]})])
    embed(images, embedded.params, tmp_path / "store", tmp_path / "cache")
    found, alone = Store(tmp_path / "store"), Store(embedded.store)
    ids = ["p0", "p1", "p2"]
    np.testing.assert_allclose(found.vectors(ids), alone.vectors(ids), rtol=0.05, atol=0.05)
    assert np.isfinite(found.vectors(["odd"])).all()


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_numbers_that_are_none_are_refused_and_name_the_photo(embedded, tmp_path, monkeypatch, number):
    extract = Extractor.extract

    def endless(self, images):
        rows = extract(self, images)
        rows[0, 0] = number
        return rows

    monkeypatch.setattr(Extractor, "extract", endless)
    with pytest.raises(UserError, match=r"p\d\.png: the backbone gives numbers that are none.*precision"):
        embed(embedded.images, embedded.params, tmp_path / "store", tmp_path / "cache")
