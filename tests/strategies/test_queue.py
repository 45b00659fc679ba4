"""The review queue: nearest the limit first, on both sides; answered images leave it; no label matters."""

from __future__ import annotations

from math import erf, log, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.strategies.queue import COLUMNS, review_queue


def table(*rows: tuple[int, float, float], **columns) -> pd.DataFrame:
    """Images a, b, c ... of (kept, score, threshold); the median score is 1."""
    kept, score, threshold = zip(*rows, strict=True)
    ids = [chr(97 + place) for place in range(len(rows))]
    frame = pd.DataFrame({"image_id": ids, "path": ids, "kept": kept, "score": score, "threshold": threshold})
    return frame.assign(**{"relative_score": frame["score"], "reviewed": "", **columns})


def order(images: pd.DataFrame) -> str:
    return "".join(review_queue(images)["image_id"])


def test_the_nearest_to_the_limit_comes_first_on_either_side():
    images = table((1, 1.0, 2.0), (1, 1.9, 2.0), (0, 2.2, 2.0), (0, 8.0, 2.0), (1, 0.5, 2.0))
    assert order(images) == "bcaed"  # |log| .05 .10 .69 1.39 1.39: the kept one of a tie first


def test_what_stayed_over_the_limit_comes_before_all_others():
    images = table((1, 1.98, 2.0), (1, 2.5, 2.0), (1, 6.0, 2.0), (0, 9.0, 2.0))
    assert order(images)[:3] == "cba"
    queue = review_queue(images)
    assert (queue["doubt"] > 0.5).tolist() == [True, True, False, False]
    assert queue["reason"].tolist() == [
        "kept although 200% over the limit: the refinement ended first",
        "kept although 25% over the limit: the refinement ended first",
        "kept, 1% under the limit",
        "removed, 350% over the limit",
    ]


def test_where_photos_weigh_the_reason_is_the_weight():
    images = table((1, 6.0, 1.0), (1, 0.9, 1.0), (0, 99.0, 1.0), (1, 8.0, 1.0))
    images["weight"] = [0.028, 0.553, 0.0, 0.002]
    queue = review_queue(images)
    assert queue["reason"].tolist() == [
        "kept, counts for next to nothing",
        "kept, counts for 3%",
        "kept, counts for 55%",
        "removed, 9800% over the limit",
    ]


def test_without_a_limit_kept_images_come_by_score_and_then_the_removed():
    none = np.nan
    images = table((1, 1.0, none), (0, 3.0, none), (1, 2.0, none), (0, 5.0, none), (1, 0.2, none))
    assert order(images) == "caebd"
    queue = review_queue(images)
    assert queue["doubt"].isna().all()
    assert queue["reason"].tolist()[::4] == [
        "kept by rank, the strategy has no limit",
        "removed by rank, the strategy has no limit",
    ]


def test_a_hair_from_the_limit_is_said_in_words():
    queue = review_queue(table((1, 1.999, 2.0), (0, 2.001, 2.0)))
    assert set(queue["reason"]) == {"kept, just under the limit", "removed, just over the limit"}


def test_answered_images_leave_the_queue():
    images = table((1, 1.9, 2.0), (0, 2.2, 2.0), (0, 3.0, 2.0), reviewed=["keep", "", "remove"])
    assert order(images) == "b"


def test_never_scored_images_are_listed_by_id():
    queue = review_queue(table(*[(1, np.nan, np.nan)] * 3))
    assert queue["image_id"].tolist() == ["a", "b", "c"]
    assert set(queue["reason"]) == {"kept, never scored"}


rows = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=20
)


@given(rows)
def test_doubt_is_its_formula(rows):
    images = table(*rows)
    logs = [log(score) for _, score, _ in rows]
    spread = 1.4826 * float(np.median(np.abs(np.array(logs) - np.median(logs))))
    queue = review_queue(images).set_index("image_id")
    assert tuple(review_queue(images).columns) == COLUMNS
    for row in images.itertuples():
        z = (1 - 2 * row.kept) * log(row.score / row.threshold) / (spread or 1)
        assert queue.loc[row.image_id, "doubt"] == pytest.approx((1 + erf(-z / sqrt(2))) / 2, abs=1e-9)
    assert queue["doubt"].is_monotonic_decreasing


@given(rows, st.randoms())
def test_no_label_and_no_order_of_rows_changes_the_queue(rows, random):
    images = table(*rows)
    told = images.assign(label=[random.randint(0, 1) for _ in rows], injected=1, source="scratch")
    assert review_queue(told.sample(frac=1, random_state=random.randint(0, 99))).equals(review_queue(images))
