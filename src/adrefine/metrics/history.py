"""What the rounds of a refinement did to the training set: one reading of its history for all who ask."""

from __future__ import annotations

import pandas as pd


def out_after(history: pd.DataFrame) -> dict[int, frozenset[str]]:
    """Ids of the images that are out after each round, in order; round 0, before the first scoring, included.

    Args:
        history: a row per round and image it decided on: round, image_id, removed (1: out, 0: stays, or comes
            back if it was out). An image that a round does not name stays as it was.
    """
    out: frozenset[str] = frozenset()
    after = {0: out}
    for number, rows in history.groupby("round"):
        removed = rows["removed"] == 1
        out = (out | set(rows.loc[removed, "image_id"])) - set(rows.loc[~removed, "image_id"])
        after[int(str(number))] = out
    return after
