"""The live ranking: what one photo changes is what fitting anew would find, and it can be taken back."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine.places import evidence
from adrefine.places.families import families_of
from adrefine.places.models import PLACES_SHRINKAGE, POOLED_SHRINKAGE
from adrefine.places.out_of_fold import folds_of
from adrefine.places.sharded import Read
from adrefine.places.voters import FAMILIES, OWN, PLACES, POOLED
from adrefine.reviewing.ranking import Ranking
from fakes import MapStore

CONFIRMED = [3, 0, 17, 42]


@pytest.mark.parametrize("name", [PLACES, POOLED, FAMILIES, OWN])
def test_distances_are_those_of_models_that_never_knew_what_was_confirmed(name: str) -> None:
    """Fold by fold with numpy: scale and what is added to the squares are those of the start."""
    store = MapStore(6, count=53)
    ranking = Ranking(store, store.ids, seed=2)
    for place in CONFIRMED:
        ranking.confirm(place)
    read, shrinkage = (
        (Read(store), PLACES_SHRINKAGE),
        (Read(store, whole=True), POOLED_SHRINKAGE),
    )[name == POOLED]
    maps, folds = read(store.ids).astype(np.float64), folds_of(store.ids, 2)
    if name == FAMILIES:
        folds = families_of(Read(store, whole=True), store.ids, np.ones(53, bool), 2)
    for fold in range(5):
        rest, inside = (folds != fold) | (name == OWN), folds == fold
        scaled = maps / maps[rest].std(axis=(0, 1))
        left = rest & ~np.isin(np.arange(53), CONFIRMED)
        for place in range(maps.shape[1]):
            before, after = scaled[rest, place], scaled[left, place]
            ridge = shrinkage * np.cov(before.T).trace() / maps.shape[2] * (len(before) - 1)
            squares = np.cov(after.T) * (len(after) - 1) + ridge * np.eye(maps.shape[2])
            away = scaled[inside, place] - after.mean(axis=0)
            expected = np.einsum("nd,de,ne->n", away, np.linalg.inv(squares), away) * (len(after) - 1)
            np.testing.assert_allclose(ranking.live[name].distances[inside, place], expected, rtol=1e-3)


def test_it_agrees_with_evidence_gathered_anew() -> None:
    store = MapStore(10, count=100)
    ranking = Ranking(store, store.ids)
    for place in range(8):
        ranking.confirm(place)
    anew = evidence.gather(store, store.ids, known=frozenset(store.ids[:8])).strength
    assert np.corrcoef(ranking.strength, anew)[0, 1] > 0.995


def test_two_photos_stay_in_every_model_whatever_is_confirmed() -> None:
    """Nearly all photos are the same, so the few others are families of their own."""
    store = MapStore(0, count=60)
    for name in store.ids[4:]:
        store.content[name][:] = store.content[store.ids[4]]
    for place, name in enumerate(store.ids[:4]):
        store.content[name] = store.content[name] + np.float16(30 * (place + 1))
    ranking = Ranking(store, store.ids, twins=False)
    before = ranking.strength
    for place in range(55):
        ranking.confirm(place)
        assert np.isfinite(ranking.strength).all()
    for place in reversed(range(55)):
        ranking.restore(place)
    np.testing.assert_allclose(ranking.strength, before, rtol=0.01, atol=0.01)
    assert all(not part.stuck for live in ranking.live.values() for part in live.parts)


def test_with_one_part_alone_what_is_confirmed_leaves_the_models() -> None:
    """All are in one fold, whose photos the model of all has learned."""
    store = MapStore(4)
    parts = dict.fromkeys(store.ids, "the only part")
    ranking = Ranking(store, store.ids, parts=parts)
    for place in range(4):
        ranking.confirm(place)
    np.testing.assert_allclose(ranking.live[PLACES].distances, ranking.live[OWN].distances)
    anew = evidence.gather(store, store.ids, known=frozenset(store.ids[:4]), parts=parts)
    own = anew.voters[0].photos
    assert np.corrcoef(ranking.voters[0].photos, own)[0, 1] > 0.995


def test_what_comes_back_leaves_no_trace() -> None:
    store = MapStore(5)
    ranking = Ranking(store, store.ids)
    for place in (1, 4, 30, 1):  # twice is once
        ranking.confirm(place)
    assert np.abs(ranking.strength - ranking.evidence.strength).max() > 0.01
    for place in (30, 1, 4, 4):
        ranking.restore(place)
    np.testing.assert_allclose(ranking.strength, ranking.evidence.strength, atol=1e-4)


def test_hidden_defects_stand_out_more_when_their_like_is_known() -> None:
    """Twelve photos with the same defect at the same place hide each other."""
    store = MapStore(0, count=60)
    for name in store.ids[:12]:
        store.content[name][7] += (5 * np.eye(store.channels)[-1]).astype(np.float16)
    ranking = Ranking(store, store.ids)
    before = ranking.strength[6:12].copy()
    for place in range(6):
        ranking.confirm(place)
    assert np.mean(ranking.strength[6:12] - before) > 0.4
