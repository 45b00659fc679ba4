from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.errors import UserError
from adrefine.metrics.cleaning import cleaning_metrics, oracle_gap_closed

photos = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=30)


@given(photos)
def test_counts_and_ratios_match_plain_counting(rows):
    hidden, kept, score = (list(column) for column in zip(*rows, strict=True))
    figures = cleaning_metrics(np.array(hidden, int), kept, score, rounds=4)
    removed = [h for h, k, _ in rows if not k]
    stayed = [h for h, k, _ in rows if k]
    assert figures["removed"] == len(removed) == figures["removed_defects"] + figures["removed_good"]
    assert figures["removed_defects"] == sum(removed)
    assert figures["rounds"] == 4
    wanted = {
        "precision": (sum(removed), len(removed)),
        "recall": (sum(removed), sum(hidden)),
        "good_retained": (stayed.count(False), hidden.count(False)),
        "residual_noise": (sum(stayed), len(stayed)),
    }
    for name, (part, whole) in wanted.items():
        assert figures.get(name) == (part / whole if whole else None), name
    assert ("rank_auroc" in figures) == (0 < sum(hidden) < len(hidden))


def test_rank_auroc_looks_at_every_photo_not_only_the_removed():
    figures = cleaning_metrics([1, 1, 0, 0], [0, 1, 1, 1], [9, 2, 3, 1], rounds=1)
    assert figures["rank_auroc"] == 0.75
    assert figures["precision"] == 1.0
    assert figures["recall"] == 0.5
    assert figures["residual_noise"] == pytest.approx(1 / 3)


def test_only_photos_with_a_score_are_ranked():
    assert "rank_auroc" not in cleaning_metrics([0, 1], [1, 1], [np.nan, np.nan], rounds=0)
    assert "rank_auroc" not in cleaning_metrics([0, 1], [1, 0], [1.0, np.nan], rounds=0)
    by_hand = cleaning_metrics([1, 1, 0, 0], [0, 1, 1, 1], [np.nan, 2, 3, 1], rounds=1)
    assert by_hand["rank_auroc"] == 0.5
    assert by_hand["recall"] == 0.5


def test_wrong_input_is_refused_clearly():
    with pytest.raises(UserError, match="lengths differ"):
        cleaning_metrics([0, 1], [1], [1.0, 2.0], rounds=1)
    with pytest.raises(UserError, match="`injected`"):
        cleaning_metrics([0, -1], [1, 1], [1.0, 2.0], rounds=1)


@pytest.mark.parametrize(
    ("initial", "refined", "oracle", "closed"),
    [
        (0.80, 0.85, 0.90, 0.5),
        (0.80, 0.75, 0.90, -0.5),
        (0.80, 0.95, 0.90, 1.5),
        (0.80, 0.85, 0.8019, None),
        (0.90, 0.95, 0.80, None),
    ],
)
def test_share_of_the_possible_gain(initial, refined, oracle, closed):
    share = oracle_gap_closed(initial, refined, oracle)
    assert share is None if closed is None else share == pytest.approx(closed)
