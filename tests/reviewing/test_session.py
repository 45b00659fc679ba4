"""A review as it goes: order, draws, slips, and an estimate that is right on average."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor

import numpy as np
import pytest

from adrefine.places.evidence import gather
from adrefine.review import KEEP, REMOVE, UNSURE, Answer
from adrefine.reviewing.project import sentence
from adrefine.reviewing.ranking import Ranking
from adrefine.reviewing.session import AGAIN, EVERY, Asked, Session, unbiased
from adrefine.strategies import share
from fakes import MapStore, image_set

BASE = gather(MapStore(), MapStore().ids)


class Fixed:
    """A ranking that no answer changes; it remembers what was confirmed.

    Args:
        variants: places of the photos that may be a variant. spread, width: see `Evidence`.
    """

    def __init__(
        self, strength: np.ndarray, variants: range = range(0), spread: float = 0.1, width: float = 0.0
    ) -> None:
        ids = image_set(len(strength)).ids
        chosen = frozenset(ids[place] for place in variants)
        self.evidence = replace(BASE, ids=ids, strength=strength, variants=chosen, spread=spread, width=width)
        self.strength = strength
        self.confirmed: set[int] = set()

    def confirm(self, place: int) -> None:
        self.confirmed.add(place)

    def restore(self, place: int) -> None:
        self.confirmed.discard(place)

    def alike(self, place: int, others: list[int]) -> np.ndarray:
        return np.zeros(len(others))


def answer_all(session: Session, hidden: np.ndarray, count: int) -> list[Asked]:
    """Right answers on the next `count` photos, one by one."""
    asked = []
    for _ in range(count):
        asked += session.next()
        defect = hidden[session.place[asked[-1].image_id]]
        session.answer(asked[-1], REMOVE if defect else KEEP)
    return asked


def test_the_strongest_come_first_and_some_are_drawn() -> None:
    strength = np.linspace(3, -1, 30)
    asked = answer_all(Session(Fixed(strength)), strength > 2, 20)
    assert [one.drawn is not None for one in asked] == ([False] * (EVERY - 1) + [True]) * (20 // EVERY)
    assert [one.image_id for one in asked[:4]] == ["im000", "im001", "im002", "im003"]
    assert len({one.image_id for one in asked}) == 20
    assert all(0 < one.drawn <= 1 for one in asked if one.drawn is not None)


def test_a_batch_is_what_single_steps_without_answers_would_be() -> None:
    session = Session(Fixed(np.linspace(3, -1, 30)))
    batch = session.next(12)
    assert EVERY == 10
    assert [one.image_id for one in batch[:4]] == ["im000", "im001", "im002", "im003"]
    assert [one.drawn is None for one in batch] == [True] * 9 + [False] + [True] * 2
    assert len({one.image_id for one in batch}) == 12
    assert session.next(12) == batch


@pytest.mark.parametrize("answers", [20, 40])
def test_the_drawn_photos_alone_tell_the_number_on_average(answers: int) -> None:
    rng = np.random.default_rng(0)
    strength = rng.gamma(1.5, 1.2, 60) - 1
    hidden = rng.random(60) < 1 / (1 + np.exp(2 - strength))
    found = []
    for seed in range(100):
        session = Session(Fixed(strength), seed=seed)
        answer_all(session, hidden, answers)
        found.append(session.estimate().unbiased)
    assert abs(np.mean(found) - hidden.sum()) < 3 * np.std(found) / np.sqrt(len(found))
    assert np.std(found) > 0


def test_each_drawn_photo_counts_what_was_found_before_it_and_its_own_part() -> None:
    answers = {
        "a": Answer(REMOVE),
        "b": Answer(REMOVE, asked="0.05"),
        "c": Answer(KEEP, asked="0.1"),
        "d": Answer(UNSURE, asked="0.2 again"),
    }
    assert unbiased(answers) == pytest.approx(((1 + 20) + 2 + 2) / 3)
    assert unbiased({"a": Answer(REMOVE)}) is None


def test_defects_leave_the_model_and_come_back_when_the_answer_is_taken_back() -> None:
    store = MapStore(6)
    session = Session(Ranking(store, store.ids))
    start = session.photos.strength.copy()
    first = session.next()[0]
    session.answer(first, REMOVE)
    assert np.abs(session.photos.strength - start).max() > 1e-3
    assert session.undo() == first.image_id
    np.testing.assert_allclose(session.photos.strength, start, atol=1e-5)
    assert session.next()[0].image_id == first.image_id
    assert session.undo() is None


def test_a_session_goes_on_where_the_file_ends() -> None:
    store = MapStore(8, count=80)
    one = Session(Ranking(store, store.ids))
    answer_all(one, store.hidden, 12)
    other = Session(Ranking(store, store.ids), one.answers | {"gone": Answer(KEEP)})
    assert [a.image_id for a in other.next(3)] == [a.image_id for a in one.next(3)]
    assert other.estimate() == one.estimate()


def test_an_answer_that_the_others_contradict_is_asked_again_and_once() -> None:
    strength = np.concatenate([np.linspace(8, 4, 20), np.linspace(1, -1, 80)])
    hidden = strength > 3
    session = Session(Fixed(strength))
    for asked in session.next(20):
        slip = asked.image_id == "im001"
        right = hidden[session.place[asked.image_id]]
        session.answer(asked, REMOVE if right and not slip else KEEP)
    again = session.next()[0]
    assert (again.image_id, again.again) == ("im001", True)
    session.answer(again, KEEP)
    assert not session.next()[0].again
    session.undo()
    session.answer(session.next()[0], REMOVE, "a scratch")
    assert session.answers["im001"].verdict == REMOVE
    assert session.answers["im001"].asked.endswith(AGAIN)
    assert 1 in session.photos.confirmed


def test_a_cleared_photo_beside_its_confirmed_twin_is_asked_again_and_once() -> None:
    """Two defects are the same step at one place; the third is another."""
    store = MapStore(26, count=80)
    assert store.where[0] == store.where[25]
    one, twin, other = (store.ids[place] for place in (0, 25, 3))
    session = Session(Ranking(store, store.ids))
    session.answer(Asked(one, 0.0, 0.0), KEEP)
    session.answer(Asked(other, 0.0, 0.0), REMOVE)
    assert not session.next()[0].again
    session.answer(Asked(twin, 0.0, 0.0), REMOVE)
    again = session.next()[0]
    assert (again.image_id, again.again) == (one, True)
    session.undo()
    assert not session.next()[0].again
    session.answer(Asked(twin, 0.0, 0.0), REMOVE)
    session.answer(session.next()[0], KEEP)
    assert not session.next()[0].again
    fresh = Session(Ranking(store, store.ids), dict(reversed(session.answers.items())))
    followed = Session(Ranking(store, store.ids))
    followed.follow(session.answers)
    assert followed.twins == fresh.twins == session.twins == {one: {twin}}
    followed.follow({name: answer for name, answer in session.answers.items() if name != twin})
    assert not any(followed.twins.values())


def test_unsure_decides_nothing_and_comes_back_last() -> None:
    strength = np.linspace(3, -1, 8)
    session = Session(Fixed(strength))
    session.answer(session.next()[0], UNSURE)
    assert session.belief().open.all()
    answer_all(session, strength > 2, 7)
    assert session.next()[0].image_id == "im000"
    session.answer(session.next()[0], REMOVE)
    assert session.next() == []
    assert session.enough() == "every photo has an answer"


def test_it_is_enough_when_hardly_any_can_hide() -> None:
    strength = np.concatenate([np.linspace(8, 6, 5), np.linspace(1, -1, 95)])
    session = Session(Fixed(strength))
    answer_all(session, strength > 3, 5)
    assert session.enough() is None  # ten answers at least
    answer_all(session, strength > 3, 35)
    assert session.estimate().hidden.high <= 2
    assert session.enough() == f"at most {session.estimate().hidden.high} hidden defects remain"


def test_before_five_answers_the_photos_alone_tell_or_nobody_does() -> None:
    """Two answers are no ground for a figure: it would be what was assumed of any product."""
    strength = np.linspace(6, -1, 100)
    session = Session(Fixed(strength))
    told = share.estimate_share(session.photos.evidence)
    assert told is not None
    answer_all(session, strength > 5, 4)
    before = session.estimate()
    assert before.hidden is not None
    assert before.after is None
    assert before.hidden.expected == pytest.approx(100 * told.estimate - 4)
    assert (before.hidden.low, before.hidden.high) == (floor(100 * told.low - 4), ceil(100 * told.high - 4))
    assert "from the photos alone" in sentence(before)
    unknown = Session(Fixed(strength, spread=0.9))
    assert unknown.estimate().hidden is None
    told = sentence(unknown.estimate())
    assert told == "0 removed; how many hidden defects remain is unknown until you judge 5"
    answer_all(session, strength > 5, 1)
    answer_all(unknown, strength > 5, 5)
    assert session.estimate().hidden == unknown.estimate().hidden == session.belief().hidden()
    assert "10 more answers" in sentence(session.estimate())


def test_unsure_answers_tell_nothing_and_are_never_enough() -> None:
    session = Session(Fixed(np.linspace(3, -1, 40), spread=0.9))
    for _ in range(20):
        session.answer(session.next()[0], UNSURE)
    assert session.estimate().hidden is None
    assert session.enough() is None


def test_a_variant_is_asked_first_and_its_answers_tell_nothing_of_the_others() -> None:
    """Ten good photos of a variant stand out among ten defects that stand out less."""
    strength = np.concatenate([np.full(10, 5.0), np.linspace(4.5, 2.5, 10), np.linspace(1, -1, 80)])
    hidden = (np.arange(100) >= 10) & (np.arange(100) < 20)
    session = Session(Fixed(strength[::-1], variants=range(90, 100)))
    assert {one.image_id for one in session.next(9)} < session.photos.evidence.variants
    answer_all(session, hidden[::-1], 10)
    assert session.estimate().after is None, "a variant says nothing of the others"
    answer_all(session, hidden[::-1], 8)
    told = session.estimate().hidden
    assert told is not None
    assert told.low <= hidden.sum() - session.estimate().found <= told.high
    assert not [one for one in session.next(3) if one.again]
