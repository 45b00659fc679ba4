"""Features on disk: streamed in, read on demand, and never half a store or half a cache entry."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adrefine.errors import UserError
from adrefine.features import shards
from adrefine.features.store import Store, VectorCache, open_store, write_store

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
    content = store._content("features", 0)
    assert isinstance(content, np.memmap)
    assert not content.flags.writeable


def test_an_unknown_image_or_folder_says_what_to_run(store, tmp_path):
    with pytest.raises(UserError, match=r"no features of image 'c'.*dvc repro embed"):
        store.vectors(["a", "c"])
    with pytest.raises(UserError, match="holds no features"):
        Store(tmp_path / "elsewhere")


def test_an_open_store_is_read_once(store, monkeypatch):
    reads = []
    monkeypatch.setattr(
        pd, "read_csv", lambda *given, read=pd.read_csv, **more: reads.append(1) or read(*given, **more)
    )
    opened = [open_store(store.folder) for _ in range(3)]
    assert len(reads) == 1
    assert opened[0] is opened[1] is opened[2]
    np.testing.assert_array_equal(opened[0].vectors(IDS), VECTORS)


def test_a_rewritten_store_is_opened_anew_and_the_old_one_still_reads_what_it_was(store):
    before = open_store(store.folder)
    for times in (2, 3):
        write_store(
            store.folder, IDS[:times], iter(times * VECTORS[:times]), (2, 3), {"dim": 3, "times": times}
        )
        after = open_store(store.folder)
        assert (after.ids, after.meta["times"]) == (IDS[:times], times)
        np.testing.assert_array_equal(after.vectors(IDS[:times]), times * VECTORS[:times])
    np.testing.assert_array_equal(before.vectors(IDS), VECTORS)


def test_a_store_that_is_gone_is_not_remembered(store, tmp_path):
    open_store(store.folder)
    (store.folder / "meta.json").unlink()
    with pytest.raises(UserError, match="holds no features"):
        open_store(store.folder)


def test_the_same_name_elsewhere_is_another_store(tmp_path, monkeypatch):
    for number, place in enumerate("ab", start=1):
        write_store(tmp_path / place / "store", IDS, iter(number * VECTORS), (2, 3), {})
        monkeypatch.chdir(tmp_path / place)
        np.testing.assert_array_equal(open_store(Path("store")).vectors(IDS), number * VECTORS)


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


def test_a_damaged_cache_is_made_anew_whatever_byte_of_its_table_was_hit(tmp_path):
    """SQLite puts the damaged text into its message, which is then no text."""
    stored = VectorCache(tmp_path, "config", (1, 2)).path
    whole = stored.read_bytes()
    start = whole.index(b"CREATE TABLE")
    for place in range(start, start + 60):
        stored.write_bytes(whole[:place] + b"\xe7" + whole[place + 1 :])
        cache = VectorCache(tmp_path, "config", (1, 2))
        cache.put([("a", np.ones((1, 2)))])
        assert cache.missing(["a"]) == []


def test_a_vector_whose_bytes_were_turned_on_the_disk_is_missing(tmp_path):
    cache = VectorCache(tmp_path, "c", (2, 3))
    cache.put([("a", np.full((2, 3), 1.5)), ("b", np.full((2, 3), 2.5))])
    content = cache.path.read_bytes()
    value = np.full((2, 3), 1.5, np.float16).tobytes()
    assert content.count(value) == 1
    cache.path.write_bytes(content.replace(value, np.full((2, 3), 1.75, np.float16).tobytes()))
    assert VectorCache(tmp_path, "c", (2, 3)).missing(["a", "b"]) == ["a"]


def test_many_images_are_in_shards_and_one_more_changes_one_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MOST", 4)
    ids = [f"im{number}" for number in range(14)]
    values = {name: np.full((2, 3), number, np.float16) for number, name in enumerate(ids)}

    def written(folder: Path, names: list[str]) -> dict[str, bytes]:
        order, sizes = shards.arranged(names)
        ordered = [names[place] for place in order]
        write_store(folder, ordered, (values[name] for name in ordered), (2, 3), {"dim": 3}, sizes)
        return {path.name: path.read_bytes() for path in folder.glob("*.npy")}

    before, after = written(tmp_path / "a", ids[:-1]), written(tmp_path / "b", ids)
    assert sorted(before) == [f"features-000{shard}.npy" for shard in range(4)]
    assert sum(before[name] != after[name] for name in before) == 1
    store = pickle.loads(pickle.dumps(Store(tmp_path / "b")))  # as a worker gets it
    asked = [ids[9], *ids[:3], ids[9]]
    np.testing.assert_array_equal(store.vectors(asked)[:, 0, 0], [9, 0, 1, 2, 9])
    found = np.concatenate(store.split(asked))
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert written(tmp_path / "b", ids[:4]).keys() == {"features.npy"}  # nothing of the old is left
