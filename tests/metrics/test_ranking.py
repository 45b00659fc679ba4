from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.metrics.ranking import depth, ranking_metrics


def test_figures_of_a_ranking_worked_out_by_hand():
    """Hidden defects at ranks 1, 3 and 8 of 10."""
    found = ranking_metrics([1, 0, 1, 0, 0, 0, 0, 1, 0, 0], range(10, 0, -1))
    assert found == {
        "auroc": pytest.approx((7 + 6 + 2) / 21),
        "ap": pytest.approx((1 / 1 + 2 / 3 + 3 / 8) / 3),
        "depth_90": 0.8,
        "depth_100": 0.8,
    }


def test_ninety_per_cent_are_seen_before_the_last():
    scores = np.arange(100, 0, -1)
    hidden = np.zeros(100, int)
    hidden[[*range(9), 59]] = 1
    assert depth(hidden, scores, 0.9) == 0.09
    assert depth(hidden, scores, 0.91) == depth(hidden, scores, 1.0) == 0.6


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=6),
    st.sampled_from([0.3, 0.5, 0.9, 1.0]),
)
def test_depth_is_that_of_the_slowest_order_of_equal_scores(items, share):
    flags, scores = [flag for flag, _ in items], [score for _, score in items]
    if not any(flags):
        return
    slowest = 0.0
    for order in permutations(range(len(items))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            read = [flags[place] for place in order]
            needed = next(k for k in range(1, len(read) + 1) if sum(read[:k]) >= share * sum(read) - 1e-9)
            slowest = max(slowest, needed / len(read))
    assert depth(flags, scores, share) == pytest.approx(slowest)


def test_photos_that_were_never_ranked_do_not_count_and_one_kind_ranks_nothing():
    assert ranking_metrics([1, 1, 0], [np.nan, 2.0, 1.0])["auroc"] == 1.0
    assert ranking_metrics([1, 0, 0], [np.nan, 2.0, 1.0]) == {}
    assert ranking_metrics([1, 1], [2.0, 1.0]) == {}
    assert ranking_metrics([], []) == {}
