"""How many go: counts worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.places.evidence import Evidence, gather
from adrefine.strategies import share
from fakes import MapStore

BASE = gather(MapStore(), MapStore().ids)
NARROW = -5.0  # a width that tells of nothing hidden


def evidence(strength: list[float], spread: float = 0.1, width: float = NARROW, count: int = 100) -> Evidence:
    """Photos of these strengths, the others of none."""
    filled = np.array(strength + [0.0] * (count - len(strength)))
    ids = tuple(f"im{number:03d}" for number in range(count))
    return replace(BASE, ids=ids, strength=filled, spread=spread, width=width)


def number(
    found: Evidence, contamination: share.Contamination = None, decided: int = 0, known: int = 0
) -> int:
    order = np.arange(len(found.ids))
    return share.number(found, order >= decided, order < known, contamination)


def test_a_clean_set_loses_at_most_three_in_a_hundred() -> None:
    assert number(evidence([2.9] * 50)) == 0
    assert number(evidence([3.1, 4.0])) == 2
    assert number(evidence([3.1] * 50)) == 3
    assert number(evidence([3.1] * 20, count=33)) == 0  # one of 33 were over 3 %


def test_what_is_far_out_goes_however_many_do() -> None:
    assert number(evidence([7.6] * 20 + [4.0] * 9)) == 20


def test_more_go_where_more_hide_for_sure() -> None:
    wide = evidence([4.0] * 30, width=0.0)
    sure = share.estimate_share(wide)
    assert sure is not None
    assert sure.low == pytest.approx(share.AT_STEP - share.OVER)
    assert number(wide) == int(100 * sure.low)


def test_a_defect_confirmed_where_the_rule_does_not_look_brings_no_other_back() -> None:
    wide = evidence([2.0] * 4 + [4.0] * 30, width=0.0)
    assert number(wide, decided=4, known=4) == number(wide) == 13
    assert number(evidence([5.0] * 4 + [4.0] * 30, width=0.0), decided=4, known=4) == 13 - 4


def answered(found: Evidence, known: int, cleared: int) -> int:
    """The first photos are known defects, the next ones cleared."""
    order = np.arange(len(found.ids))
    flags = order < known, (order >= known) & (order < known + cleared)
    return share.number(found, order >= known + cleared, flags[0], None, flags[1])


def test_to_clear_a_photo_never_lets_another_go() -> None:
    found = evidence([5.0, 4.9, 4.8, 4.7, 4.6])
    assert [answered(found, 0, cleared) for cleared in range(4)] == [3, 2, 1, 0]


def test_five_answers_tell_of_the_others() -> None:
    """Nine photos stand out as far as five that are known; by itself the rule would let three of all go."""
    found = evidence([5.0] * 5 + [4.8] * 9)
    assert answered(found, 4, 0) == 0
    assert answered(found, 5, 0) == 9
    assert answered(found, 0, 5) == 0


def test_answers_tell_the_share_where_the_photos_alone_cannot() -> None:
    found = evidence([6.0] * 8 + [2.0] * 12, spread=0.9)
    order = np.arange(100)
    nobody, right = order < 0, order < 8
    assert share.answered_share(found, nobody, nobody) is None
    told = share.answered_share(found, right, (order >= 8) & (order < 20))
    assert told is not None
    assert told.low == 0.08 < told.estimate < told.high < 0.12


def test_parts_in_any_pose_must_stand_out_more_and_their_share_cannot_be_told() -> None:
    assert share.limit(evidence([], spread=0.45)) == pytest.approx(4.5)
    assert number(evidence([4.0, 4.6], spread=0.45)) == 1
    assert share.estimate_share(evidence([], spread=0.45)) is not None
    assert share.estimate_share(evidence([], spread=0.5)) is None
    assert share.estimate_share(evidence([], count=49)) is None
    without = evidence([4.9], spread=float("nan"), width=float("nan"))
    assert share.estimate_share(without) is None
    assert number(without) == 0


@pytest.mark.parametrize(("width", "estimate"), [(NARROW, 0.0), (0.0, 0.233), (-0.7, 0.1), (9.0, 0.5)])
def test_the_estimate_rises_with_the_width(width: float, estimate: float) -> None:
    found = share.estimate_share(evidence([], width=width))
    assert found is not None
    assert found.estimate == pytest.approx(estimate, abs=1e-3)
    assert 0 <= found.low <= found.estimate <= found.high <= 0.5


@pytest.mark.parametrize(("given_share", "count"), [(0.0, 0), (0.12, 12), (0.5, 50)])
def test_a_share_that_is_known_is_removed_exactly(given_share: float, count: int) -> None:
    assert number(evidence([9.0] * 3), given_share) == count
    assert number(evidence([9.0] * 3), given_share, decided=4, known=4) == max(count - 4, 0)


def test_bounds_hold_whatever_stands_out() -> None:
    assert number(evidence([]), (0.05, 0.1)) == 5
    assert number(evidence([9.0] * 30), (0.05, 0.1)) == 10
    assert number(evidence([9.0] * 7), (0.05, 0.1)) == 7
    assert number(evidence([9.0] * 30), (0.05, 0.1), decided=4, known=4) == 6
    assert number(evidence([]), (0.29, 0.29)) == 29  # .29 of 100 is 28.999999999999996


@given(st.lists(st.floats(-3, 12), min_size=1, max_size=30, unique=True), st.data())
def test_exactly_so_many_exceed_the_border(strength: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(strength)))
    values = np.array(strength)
    assert (values > share.border(values, count, 3.0)).sum() == count


@given(strength=st.lists(st.floats(-20, 50), min_size=2, max_size=20, unique=True), border=st.floats(-3, 10))
def test_multiples_of_the_border_keep_the_order_and_are_positive(
    strength: list[float], border: float
) -> None:
    ordered = np.sort(strength)
    found = share.multiple(ordered, border)
    assert (found > 0).all()
    assert (np.diff(found) >= 0).all()
    assert (found[ordered < border] <= 1).all()
    assert (found[ordered > border] >= 1).all()


def test_multiples_are_those_that_a_person_reads() -> None:
    np.testing.assert_allclose(share.multiple(np.array([6.0, 3.0, 1.5]), 3.0), [2, 1, 0.5])
    np.testing.assert_allclose(share.multiple(np.array([1.0, 0.0, -1.0]), 1.0), [1, np.exp(-1), np.exp(-2)])
    np.testing.assert_allclose(share.multiple(np.array([2.0, 0.0]), 0.0), [2 * np.e, 1])
    assert (share.multiple(np.array([-1e6, 0.0]), -1e6) >= 1).all()


def test_the_border_is_the_limit_where_that_gives_the_same() -> None:
    values = np.array([5.0, 4.0, 2.0])
    assert share.border(values, 2, 3.0) == 3.0
    assert share.border(values, 1, 3.0) == 4.5
    assert (np.array([4.0, 4.0, 1.0]) > share.border(np.array([4.0, 4.0, 1.0]), 1, 3.0)).sum() == 0
