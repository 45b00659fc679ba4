"""Families of similar photos: what must be together, and what must decide nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from adrefine.places.families import families_of
from adrefine.places.out_of_fold import FOLDS, folds_of
from adrefine.places.sharded import Read
from fakes import MapStore, image_set

IDS = image_set(50).ids


class Groups(MapStore):
    """Vectors in five far groups of ten."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.group = np.arange(50) % FOLDS
        vectors = rng.normal(size=(50, 4)) + 30 * rng.normal(size=(FOLDS, 4))[self.group]
        self.content = dict(zip(IDS, vectors, strict=True))

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        return np.array([self.content[name] for name in ids]).reshape(-1, 4)


def of(store: Groups, ids: tuple[str, ...] = IDS, **keys: object) -> np.ndarray:
    given = {"good": np.ones(len(ids), bool), "seed": 0} | keys
    return families_of(Read(store, whole=True), ids, **given)


def test_similar_photos_are_one_family() -> None:
    store = Groups()
    found = of(store)
    assert {len(set(found[store.group == group])) for group in range(FOLDS)} == {1}
    assert len(set(found)) == FOLDS


def test_the_order_of_the_photos_decides_nothing() -> None:
    store = Groups()
    order = np.random.default_rng(1).permutation(50)
    shuffled = of(store, tuple(IDS[place] for place in order))
    np.testing.assert_array_equal(shuffled, of(store)[order])


def test_known_defects_decide_nothing() -> None:
    store, good = Groups(), np.arange(50) >= 3
    before = of(store, good=good)
    for name in IDS[:3]:
        store.content[name] = store.content[name] * 100
    np.testing.assert_array_equal(of(store, good=good)[3:], before[3:])


def test_shots_of_one_part_are_one_family() -> None:
    store = Groups()
    parts = {name: f"part {place // 2}" for place, name in enumerate(IDS[:20])}
    found = dict(zip(IDS, of(store, parts=parts), strict=True))
    assert all(found[IDS[place]] == found[IDS[place + 1]] for place in range(0, 20, 2))


def test_a_known_shot_does_not_move_its_part() -> None:
    store, good = Groups(), np.arange(50) >= 1
    parts = {IDS[0]: "a", IDS[5]: "a"}
    before = of(store, good=good, parts=parts)
    store.content[IDS[0]] = store.content[IDS[0]] - 1000
    np.testing.assert_array_equal(of(store, good=good, parts=parts), before)


def test_a_handful_of_photos_has_folds() -> None:
    ids = IDS[:5]
    np.testing.assert_array_equal(of(Groups(), ids), folds_of(ids, 0))
