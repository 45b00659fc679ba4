"""A rare but good variant is odd alike in most places, a defect that recurs is odd in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adrefine.detectors.base import Images
from adrefine.params import Refine
from adrefine.places.evidence import gather
from adrefine.review import Verdicts
from adrefine.strategies import weighing
from adrefine.strategies.consensus import ConsensusRemoval, ConsensusScorer
from fakes import FakeDetector, MapStore

GROUP = 5
AWAY = np.array([9, -7, 5, -5], np.float16)


def moved(count: int, where: list[int]) -> MapStore:
    """A hundred photos; the last `count` are moved alike at the places `where`."""
    store = MapStore(count=100)
    for name in store.ids[-count:]:
        store.content[name][where] += AWAY
    return store


def marked(store: MapStore) -> set[str]:
    return set(gather(store, store.ids).variants)


def test_photos_that_are_odd_alike_nearly_everywhere_are_a_variant() -> None:
    store = moved(GROUP, list(range(20)))
    assert marked(store) == set(store.ids[-GROUP:])


def test_in_a_small_region_of_interest_the_places_inside_count() -> None:
    inside = 12  # of 25
    store = moved(GROUP, list(range(inside)))
    for maps in store.content.values():
        maps[inside:] = 0
    assert marked(store) == set(store.ids[-GROUP:])


@pytest.mark.parametrize(("count", "places"), [(GROUP, [12]), (GROUP, [12, 13]), (2, list(range(20)))])
def test_a_recurring_defect_and_a_pair_are_none(count: int, places: list[int]) -> None:
    store = moved(count, places)
    assert set(store.ids[-count:]) & {
        name for name, s in zip(store.ids, gather(store, store.ids).strength, strict=True) if s > 3
    }
    assert not marked(store)


def test_a_variant_stays_and_weighs_until_a_human_decides() -> None:
    store = moved(GROUP, list(range(20)))
    group, images = store.ids[-GROUP:], Images(store.ids, Path())

    def gone(verdicts: Verdicts) -> set[str]:
        found = gather(store, store.ids, known=verdicts.remove)
        scores = ConsensusScorer(found, verdicts).scores(FakeDetector(), images)
        return set(ConsensusRemoval().step(scores, 2).ids)

    assert not gone(Verdicts()) & set(group)
    removed = Verdicts(remove=frozenset(group[:1]))
    found = gather(store, store.ids, known=removed.remove)
    weights = weighing.weigh(store, images, found, removed, Refine())[-1]["weight"]
    assert weights[group[0]] == 0
    assert (weights[list(group[1:])] == 1).all()
