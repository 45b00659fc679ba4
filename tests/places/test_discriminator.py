"""The discriminator on generated vectors: Fisher's direction with numpy, and what it must not learn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from adrefine.metrics.detection import auroc
from adrefine.places import discriminator
from adrefine.places.discriminator import SHRINKAGE
from adrefine.places.models import POOLED_SHRINKAGE
from adrefine.places.out_of_fold import Asked, OutOfFold, folds_of
from adrefine.places.sharded import Read
from adrefine.places.sums import Array
from fakes import MapStore, image_set

COUNT, DIM = 60, 3
IDS = image_set(COUNT).ids
TWINS = [f"{name}_0" for name in IDS]


class Vectors(MapStore):
    """Pooled vectors of photos and twins; a twin's kind, of three, moves it along an axis of its own."""

    def __init__(self, seed: int = 0, step: float = 3.0) -> None:
        rng = np.random.default_rng(seed)
        photos = rng.normal(size=(COUNT, DIM)) * [1, 2, 0.5]
        self.kind = np.arange(COUNT) % DIM
        shifts = np.eye(DIM)[self.kind] * rng.uniform(0.5, 1.5, (COUNT, 1))
        twins = photos + step * (shifts + 0.1 * rng.normal(size=(COUNT, DIM)))
        self.content = dict(zip([*IDS, *TWINS], np.concatenate([photos, twins]), strict=True))
        self.ids = IDS

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        return np.array([self.content[name] for name in ids]).reshape(-1, DIM)

    def kinds(self, ids: Iterable[str]) -> list[str]:
        return [f"kind {self.kind[IDS.index(name.removesuffix('_0'))]}" for name in ids]


def models(store: Vectors, weights: Array | None = None) -> OutOfFold:
    each = np.ones(COUNT) if weights is None else weights
    return OutOfFold(Read(store, whole=True), IDS, folds_of(IDS, 0), each, POOLED_SHRINKAGE)


def said(store: Vectors, good: Array | None = None) -> discriminator.Said:
    flags = np.ones(COUNT, bool) if good is None else good
    return discriminator.says(models(store, flags.astype(float)), Asked(IDS, TWINS, ["im007"]), flags)


def along(store: Vectors) -> tuple[Array, Array]:
    """With numpy, fold by fold: how far photos and twins (n, kinds) lie along the direction of each kind."""
    photos, twins, folds = store.pooled(IDS), store.pooled(TWINS), folds_of(IDS, 0)
    found = np.zeros((2, COUNT, DIM))
    for fold in range(5):
        rest, inside = folds != fold, folds == fold
        scale = photos[rest].std(axis=0)
        covariance = np.cov((photos[rest] / scale).T)
        covariance += SHRINKAGE * np.trace(covariance) / DIM * np.eye(DIM)
        for kind in range(DIM):
            of_it = rest & (store.kind == kind)
            shift = (twins - photos)[of_it].mean(axis=0) / scale
            direction = np.linalg.solve(covariance, shift)
            direction /= np.sqrt(shift @ direction)
            for row, vectors in enumerate((photos, twins)):
                away = (vectors[inside] - photos[rest].mean(axis=0)) / scale
                found[row, inside, kind] = away @ direction
    return found[0], found[1]


def test_a_photo_scores_as_the_kind_says_that_it_resembles_most() -> None:
    store = Vectors()
    photos, twins = along(store)
    found = said(store)
    np.testing.assert_allclose(found.photos, photos.max(axis=1))
    np.testing.assert_allclose(found.twins, twins.max(axis=1))
    assert found.held.shape == (1,)


def test_it_is_judged_on_kinds_that_it_did_not_learn() -> None:
    store = Vectors()
    photos, twins = along(store)
    told = []
    for kind in range(DIM):
        others = [other for other in range(DIM) if other != kind]
        inside = twins[store.kind == kind][:, others].max(axis=1)
        both = np.concatenate([photos[:, others].max(axis=1), inside])
        told.append(auroc(np.arange(len(both)) >= COUNT, both))
    assert said(store).telling == pytest.approx(np.mean(told))  # each kind has as many twins
    assert np.mean(told) < 0.7  # its kinds have nothing in common


def test_one_kind_alone_judges_nothing() -> None:
    store = Vectors()
    store.kind = np.zeros(COUNT, int)
    assert said(store).telling == 0.5


def test_known_defects_teach_nothing() -> None:
    store, good = Vectors(), np.arange(COUNT) >= 5
    before = said(store, good)
    for place in range(5):
        store.content[IDS[place]] = store.content[IDS[place]] + 40.0
        store.content[TWINS[place]] = store.content[TWINS[place]] - 40.0
    after = said(store, good)
    np.testing.assert_allclose(after.photos[5:], before.photos[5:])
    assert after.telling == pytest.approx(before.telling)
    assert (np.abs(after.photos[:5] - before.photos[:5]) > 1).all()


def test_a_defect_that_moves_nothing_says_nothing() -> None:
    store = Vectors(step=0.0)
    found = said(store)
    assert not found.photos.any()
    assert not found.twins.any()
    assert found.telling == 0.5


def test_a_kind_that_a_fold_did_not_learn_says_nothing_there() -> None:
    """The only photo of the third kind: its own fold knows two kinds, and scores by these."""
    store = Vectors()
    store.kind = np.where(np.arange(COUNT) == 7, 2, np.arange(COUNT) % 2)
    found, folds = said(store), folds_of(IDS, 0)
    two = Vectors()
    two.kind = np.arange(COUNT) % 2
    inside = folds == folds[7]
    has = [name if place != 7 else "" for place, name in enumerate(TWINS)]
    without = discriminator.says(models(two), Asked(IDS, has, []), np.ones(COUNT, bool))
    np.testing.assert_allclose(found.photos[inside], without.photos[inside])
    assert (found.photos[inside] < 0).any()


def test_photos_without_a_twin_are_scored_all_the_same() -> None:
    store = Vectors()
    asked = Asked(IDS, [name if place % 2 else "" for place, name in enumerate(TWINS)], [])
    found = discriminator.says(models(store), asked, np.ones(COUNT, bool))
    assert np.isnan(found.twins).tolist() == [place % 2 == 0 for place in range(COUNT)]
    assert np.isfinite(found.photos).all()
