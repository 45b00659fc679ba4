from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.metrics.reviewing import SHARES, first, found_at


@given(st.lists(st.booleans(), max_size=60))
def test_shares_match_plain_counting_and_rise(sought):
    found = found_at(sought, "found")
    assert bool(found) == any(sought)
    for share, value in zip(SHARES, found.values(), strict=False):
        begin = [place for place in range(len(sought)) if place * 100 < share * len(sought)]
        assert value == sum(sought[place] for place in begin) / sum(sought)
    assert list(found.values()) == sorted(found.values())


@pytest.mark.parametrize(
    ("photos", "share", "count"), [(100, 5, 5), (101, 5, 6), (1, 5, 1), (0, 5, 0), (40, 20, 8)]
)
def test_a_part_of_a_photo_counts_as_a_photo(photos, share, count):
    assert first(photos, share) == count
