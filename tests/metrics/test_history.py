from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from adrefine.metrics.history import out_after

rows = st.lists(
    st.dictionaries(st.sampled_from("abcde"), st.integers(0, 1), min_size=1), max_size=6
)  # one dictionary a round: image, removed


def table(rounds: list[dict[str, int]], start: int = 1) -> pd.DataFrame:
    records = [
        (number, image_id, removed)
        for number, decided in enumerate(rounds, start)
        for image_id, removed in decided.items()
    ]
    return pd.DataFrame(records, columns=["round", "image_id", "removed"])


@given(rows, st.randoms(), st.integers(0, 1))
def test_it_is_replaying_the_rounds_in_whatever_order_the_rows_stand(rounds, random, start):
    history = table(rounds, start)
    shuffled = history.iloc[random.sample(range(len(history)), len(history))]
    found, out = out_after(shuffled), set()
    assert list(found) == sorted({0, *range(start, start + len(rounds))})
    for number, decided in enumerate(rounds, start):
        for image_id, removed in decided.items():
            out.add(image_id) if removed else out.discard(image_id)
        assert found[number] == out


def test_an_empty_history_leaves_everything_in():
    assert out_after(table([])) == {0: frozenset()}
