"""A review as it goes: order, draws, slips, and an estimate that is right on average."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from adrefine.review import KEEP, REMOVE, UNSURE, Answer
from adrefine.reviewing.ranking import Ranking
from adrefine.reviewing.session import AGAIN, EVERY, Asked, Session, unbiased
from fakes import MapStore, image_set


class Fixed:
    """A ranking that no answer changes; it remembers what was confirmed."""

    def __init__(self, strength: np.ndarray) -> None:
        self.evidence = SimpleNamespace(ids=image_set(len(strength)).ids)
        self.strength = strength
        self.confirmed: set[int] = set()

    def confirm(self, place: int) -> None:
        self.confirmed.add(place)

    def restore(self, place: int) -> None:
        self.confirmed.discard(place)


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
    assert session.enough() == f"at most {session.estimate().hidden.high} still hide"
