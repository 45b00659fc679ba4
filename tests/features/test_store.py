"""Features on disk: streamed in, read on demand, and never half a store or half a cache entry."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine.errors import UserError
from adrefine.features.store import Store, VectorCache, write_store

VECTORS = np.arange(24, dtype=np.float16).reshape(4, 2, 3)
IDS = ["1e5", "NA", "b", "a"]


@pytest.fixture
def store(tmp_path) -> Store:
    write_store(tmp_path / "store", IDS, iter(VECTORS), (2, 3), {"dim": 3})
    return Store(tmp_path / "store")


def test_vectors_come_back_in_the_order_asked(store):
    found = store.vectors(["a", "1e5", "NA", "a"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, VECTORS[[3, 0, 1, 3]])
    assert store.ids == IDS
    assert store.meta == {"dim": 3}
    assert store.vectors([]).shape == (0, 2, 3)


def test_a_store_stays_on_disk_until_rows_are_read(store):
    assert isinstance(store.features, np.memmap)
    assert not store.features.flags.writeable


def test_an_unknown_image_or_folder_says_what_to_run(store, tmp_path):
    with pytest.raises(UserError, match=r"no features of image 'c'.*dvc repro embed"):
        store.vectors(["a", "c"])
    with pytest.raises(UserError, match="holds no features"):
        Store(tmp_path / "elsewhere")


def test_nothing_to_embed_is_refused(tmp_path):
    with pytest.raises(UserError, match="no image to embed"):
        write_store(tmp_path / "store", [], iter([]), (2, 3), {})


def test_a_store_whose_writing_was_broken_off_is_no_store(tmp_path):
    def broken():
        yield VECTORS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "store", IDS, broken(), (2, 3), {})
    with pytest.raises(UserError, match="holds no features"):
        Store(tmp_path / "store")


def test_a_store_that_is_rewritten_in_part_is_no_store_either(store):
    def broken():
        yield VECTORS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(store.folder, IDS, broken(), (2, 3), {})
    with pytest.raises(UserError, match="holds no features"):
        Store(store.folder)


def test_the_cache_gives_back_what_was_put_and_knows_what_is_missing(tmp_path):
    cache = VectorCache(tmp_path, "lite0 32", (2, 3))
    cache.put([("k1", VECTORS[1]), ("k0", VECTORS[0])])
    again = VectorCache(tmp_path, "lite0 32", (2, 3))
    assert again.missing(["k0", "k9", "k1"]) == ["k9"]
    np.testing.assert_array_equal(list(again.stream(["k0", "k1", "k0"])), VECTORS[[0, 1, 0]])


def test_another_configuration_has_another_cache(tmp_path):
    VectorCache(tmp_path, "lite0 32", (2, 3)).put([("k", VECTORS[0])])
    assert VectorCache(tmp_path, "lite0 64", (2, 3)).missing(["k"]) == ["k"]


def test_a_transaction_that_breaks_leaves_the_cache_as_it_was(tmp_path):
    def broken():
        yield "k1", VECTORS[1]
        raise KeyboardInterrupt

    cache = VectorCache(tmp_path, "c", (2, 3))
    cache.put([("k0", VECTORS[0])])
    with pytest.raises(KeyboardInterrupt):
        cache.put(broken())
    assert cache.missing(["k0", "k1"]) == ["k1"]
