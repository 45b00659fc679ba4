"""The strategy on generated vectors: what is removed, and where the limit comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adrefine.detectors.base import Detector, Images, Scores
from adrefine.errors import UserError
from adrefine.params import parse
from adrefine.strategies import create, evidence
from adrefine.strategies.consensus import Consensus, ConsensusRemoval, ConsensusScorer
from fakes import vectors


class Describing(Detector):
    """A detector that only describes: vectors of `test_evidence`."""

    def __init__(self, hidden: int) -> None:
        self.photos, self.twins, self.hidden = vectors(hidden)
        self.images = Images(tuple(f"{i:03d}" for i in range(len(self.photos))), Path())

    def describe(self, images: Images, *, twins: bool = False) -> np.ndarray:
        return (self.twins if twins else self.photos)[[int(image_id) for image_id in images.ids]]

    def score(self, images: Images) -> Scores:
        """What a model that has learned the photos may say: nothing of use."""
        return Scores(np.ones(len(images)))

    fit = clone = save = load = None  # type: ignore[assignment]


Describing.__abstractmethods__ = frozenset()


def removed(hidden: int, **keys: float) -> tuple[Describing, set[str]]:
    detector, params = Describing(hidden), Consensus(**keys)
    scores = ConsensusScorer(params, detector.images, 0).scores(detector, detector.images)
    return detector, set(ConsensusRemoval().step(scores, 2).ids)


def test_clean_photos_stay_and_hidden_defects_go() -> None:
    _, none = removed(0)
    detector, some = removed(16)
    defects = {detector.images.ids[i] for i in np.flatnonzero(detector.hidden)}
    assert len(none) <= 4
    assert len(some & defects) > len(defects) / 2
    assert len(some & defects) / len(some) > 2 * len(defects) / len(detector.images)


def test_confirming_what_went_brings_nothing_back() -> None:
    detector, first = removed(16)
    confirmed = frozenset(first & {detector.images.ids[i] for i in np.flatnonzero(detector.hidden)})
    scorer = ConsensusScorer(Consensus(), detector.images, 0, known=confirmed)
    again = set(ConsensusRemoval().step(scorer.scores(detector, detector.images), 2).ids)
    assert confirmed <= again
    assert len(again) > 0.8 * len(first)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 1.0])
def test_a_given_share_is_removed_whatever_the_twins_say(share: float) -> None:
    detector, gone = removed(16, share=share)
    photos = len(detector.images)
    assert abs(len(gone) - min(round(share * photos), photos - 1)) <= 1  # equal ranks stay together


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_worst_go_and_one_always_stays(monkeypatch, share: float) -> None:
    images = Images(tuple("abcdefghij"), Path())
    detector, ranks = Describing(0), np.arange(0.05, 1.0, 0.1)
    monkeypatch.setattr(evidence, "consensus", lambda *given: (ranks, given[-2]))
    monkeypatch.setattr(detector, "describe", lambda images, twins: None)
    scores = ConsensusScorer(Consensus(share=share), images, 0).scores(detector, images)
    ids = ConsensusRemoval().step(scores, 2).ids
    assert ids == tuple("jihgfedcb"[: min(round(10 * share), 9)])


def test_half_of_an_odd_number_leaves_what_min_keep_wants_kept(monkeypatch) -> None:
    images = Images(tuple("abcdefghijk"), Path())
    detector, ranks = Describing(0), np.arange(11) / 11
    monkeypatch.setattr(evidence, "consensus", lambda *given: (ranks, 0.5))
    monkeypatch.setattr(detector, "describe", lambda images, twins: None)
    scores = ConsensusScorer(Consensus(), images, 0).scores(detector, images)
    assert len(ConsensusRemoval().step(scores, 6).ids) == 5


def test_every_photo_is_scored_also_one_that_is_out() -> None:
    detector = Describing(16)
    scorer = ConsensusScorer(Consensus(), detector.images, 0)
    kept = detector.images.only(detector.images.ids[20:])
    assert list(scorer.scores(detector, kept).index) == list(detector.images.ids)


def test_few_photos_and_a_detector_without_vectors_are_refused_with_a_remedy() -> None:
    few = Images(("a", "b"), Path())
    with pytest.raises(UserError, match=r"10 training images or more, there are 2"):
        ConsensusScorer(Consensus(), few, 0)
    detector = Describing(0)
    with pytest.raises(UserError, match="set detector to differnet"):
        Detector.describe(detector, detector.images)


def test_params_choose_it() -> None:
    assert isinstance(create(parse({"refine": {"strategy": "consensus"}}), 20), ConsensusRemoval)
