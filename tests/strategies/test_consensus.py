"""The strategy on generated maps: what is removed, and what the user's knowledge changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adrefine.detectors.base import Images
from adrefine.errors import UserError
from adrefine.params import Params, parse
from adrefine.places.evidence import Evidence, gather
from adrefine.review import UNDECIDED, Verdicts
from adrefine.strategies import create, share
from adrefine.strategies.base import WorstShare
from adrefine.strategies.consensus import ConsensusRemoval, ConsensusScorer
from adrefine.strategies.scorers import Scorer
from fakes import FakeDetector, MapStore

DETECTOR = FakeDetector()


def gone(
    store: MapStore, contamination: share.Contamination = None, verdicts: Verdicts = UNDECIDED
) -> set[str]:
    """What the strategy names of the photos that the engine lets it see."""
    found = gather(store, store.ids, known=verdicts.remove)
    scorer = ConsensusScorer(found, verdicts, contamination)
    images = Images(store.ids, Path())
    seen = scorer.scores(DETECTOR, images).drop(list(verdicts.keep | verdicts.remove))
    return set(ConsensusRemoval().step(seen, 2).ids)


def test_hidden_defects_go_and_hardly_a_good_photo() -> None:
    store = MapStore(5, count=100)
    defects = set(store.ids[:5])
    removed = gone(store)
    assert len(removed & defects) >= 3
    assert len(removed - defects) <= 3
    assert len(gone(MapStore(0, count=100))) <= 3


@pytest.mark.parametrize("known", [0.0, 0.05, 0.25, 0.5])
def test_a_known_share_goes_by_the_ranking(known: float) -> None:
    store = MapStore(10, count=100)
    removed = gone(store, known)
    assert len(removed) == round(100 * known)
    strength = dict(zip(store.ids, gather(store, store.ids).strength, strict=True))
    assert {*sorted(strength, key=strength.__getitem__)[100 - len(removed) :]} == removed


def test_bounds_hold() -> None:
    store = MapStore(20, count=100)
    assert len(gone(store, (0.3, 0.4))) == 30
    assert len(gone(store, (0.0, 0.02))) == 2


def test_what_was_answered_counts_and_what_was_cleared_stays() -> None:
    """Ten of a hundred hide by the user: three are confirmed already, the strongest other one is cleared."""
    store = MapStore(10, count=100)
    strength = gather(store, store.ids).strength
    cleared = store.ids[int(np.argmax(np.where(store.hidden, -9, strength)))]
    verdicts = Verdicts(frozenset([cleared]), frozenset(store.ids[:3]))
    removed = gone(store, 0.1, verdicts)
    assert len(removed) == 7
    assert not removed & {cleared, *store.ids[:3]}


def test_confirming_what_went_brings_nothing_back() -> None:
    store = MapStore(12, count=100)
    first = gone(store)
    confirmed = frozenset(first & set(store.ids[:12]))
    again = gone(store, None, Verdicts(remove=confirmed))
    assert confirmed
    assert first - confirmed <= again


def test_a_score_is_the_strength_in_multiples_of_the_border() -> None:
    store = MapStore(4)
    found = gather(store, store.ids)
    scorer = ConsensusScorer(found, UNDECIDED)
    scores = scorer.scores(DETECTOR, Images(store.ids[10:], Path()))
    assert list(scores.index) == list(store.ids)  # also those that are out
    high = found.strength >= 1
    np.testing.assert_allclose(scores[high], found.strength[high] / scorer.border)
    assert (scores > 1).tolist() == (found.strength > scorer.border).tolist()
    assert (scores > 0).all()


def scorer_of(params: Params, evidence: Evidence | None, images: Images) -> Scorer:
    chosen = params.chosen_strategy
    return chosen.scorer(params.refine, DETECTOR, images, UNDECIDED, chosen.training(params.refine), evidence)


def test_few_photos_no_maps_and_no_twins_are_refused_with_a_remedy() -> None:
    store, params = MapStore(), parse({"refine": {"strategy": "consensus"}})
    images, found = Images(store.ids, Path("data/prepared")), gather(store, store.ids)
    assert isinstance(scorer_of(params, found, images), ConsensusScorer)
    with pytest.raises(UserError, match=r"10 training images or more, there are 2"):
        scorer_of(params, found, Images(("a", "b"), Path()))
    with pytest.raises(UserError, match=r"data/prepared/places is missing.*dvc repro embed"):
        scorer_of(params, None, images)
    blind = replace(found, voters=tuple(replace(voter, twins=None) for voter in found.voters))
    with pytest.raises(UserError, match=r"set synthesize\.per_image to 1"):
        scorer_of(params, blind, images)


@pytest.mark.parametrize("known", ["auto", 0.1, [0.05, 0.2]])
def test_params_choose_it_whatever_is_known(known: object) -> None:
    params = parse({"refine": {"strategy": "consensus", "contamination": known}})
    assert isinstance(create(params, 20), ConsensusRemoval)


def test_a_known_share_replaces_the_rule_of_other_strategies() -> None:
    params = parse({"refine": {"strategy": "irp", "contamination": 0.1}})
    assert isinstance(create(params, 20), WorstShare)
    assert not isinstance(create(parse({"refine": {"strategy": "irp"}}), 20), WorstShare)
