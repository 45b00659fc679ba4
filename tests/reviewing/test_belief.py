"""What answers tell: right on sets that are as the curve says, and deaf to a slip."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine.reviewing import belief
from adrefine.reviewing.belief import Belief


def answered(strength: np.ndarray, hidden: np.ndarray, first: int) -> Belief:
    """Right answers on the `first` strongest."""
    asked = np.zeros(len(strength), bool)
    asked[np.argsort(-strength)[:first]] = True
    return Belief(strength, asked & hidden, asked & ~hidden)


def drawn(seed: int, count: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Strengths and hidden defects of a set as `Belief` expects them before any answer."""
    rng = np.random.default_rng(seed)
    strength = rng.gamma(1.5, 1.2, count) - 1
    none = np.zeros(count, bool)
    curves = Belief(strength, none, none)
    which = rng.choice(len(curves.weight), p=curves.weight)
    chance = 1 / (1 + np.exp(-curves.steepness[which] * (strength - curves.middles[which])))
    return strength, rng.random(count) < chance


@pytest.mark.parametrize("first", [0, 10, 30])
def test_the_interval_holds_what_hides_in_nine_of_ten_sets(first: int) -> None:
    inside, error = [], []
    for seed in range(150):
        strength, hidden = drawn(seed)
        found = answered(strength, hidden, first).hidden()
        left = int(hidden[np.argsort(-strength)[first:]].sum())
        inside.append(found.low <= left <= found.high)
        error.append(found.expected - left)
    assert 0.85 < np.mean(inside) <= 1
    assert abs(np.mean(error)) < 3 * np.std(error) / np.sqrt(len(error)) + 0.3


def test_answers_move_the_chances() -> None:
    strength = np.linspace(-1, 8, 60)
    all_defects, all_good = (answered(strength, hidden, 12) for hidden in (strength > 0, strength > 99))
    assert (np.diff(all_defects.fitted) > 0).all()
    assert all_defects.fitted[40] > 0.5 > 0.1 > all_good.fitted[40]
    assert all_good.hidden().high <= 1
    assert all_defects.hidden().low > 1


def test_more_answers_narrow_the_interval() -> None:
    strength = np.linspace(-1, 6, 100)
    before = answered(strength, strength > 3.5, 10)
    now, then = before.hidden(), before.after(10)
    assert then.high - then.low < now.high - now.low
    assert then.expected < now.expected


def test_a_slip_stands_out_and_hardly_moves_the_rest() -> None:
    strength = np.concatenate([np.linspace(-1, 1, 80), np.linspace(4, 8, 20)])
    hidden = strength > 3
    right = answered(strength, hidden, 30)
    wrong = hidden.copy()
    wrong[-2] = False
    slipped = answered(strength, wrong, 30)
    doubtful = slipped.slips()
    assert np.argmax(doubtful) == 98
    assert doubtful[98] > 0.3 > 10 * right.slips().max()
    assert (slipped.slips()[:70] == 0).all()  # no answer, no slip
    assert abs(slipped.hidden().expected - right.hidden().expected) < 2


def test_bounds_are_quantiles_of_poisson_counts() -> None:
    """One curve alone, far too steep to be unsure: 20 photos at its middle hide 10 ± 1.645 √10."""
    one = Belief(np.full(20, 2.0), np.zeros(20, bool), np.zeros(20, bool))
    one.weight = np.zeros(len(one.weight))
    one.weight[np.argmin(np.abs(one.middles - 2.0) + one.steepness)] = 1.0
    found = one.hidden()
    mean = float(one.weight @ one.curves.sum(axis=1))
    from scipy.stats import poisson

    assert (found.low, found.high) == (poisson.ppf(0.05, mean), poisson.ppf(0.95, mean))
    assert found.expected == pytest.approx(mean)
    assert belief.INSIDE == 0.9
