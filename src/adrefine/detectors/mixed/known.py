"""Which real defects teach. The only place where labels reach a detector, and they are none of a trained or
tested photo."""

from __future__ import annotations

from math import floor

import pandas as pd

from adrefine.manifest import DEFECT, parts
from adrefine.runtime.seeds import derived_seed


def available(table: pd.DataFrame, groups: tuple[str, ...] = ()) -> pd.DataFrame:
    """The real defects that a detector may learn as such: labelled ones that noise injection left over, none
    of a part that is tested, trains or is held out.

    Args:
        table: the noisy manifest.
        groups: types of defect; empty: all.
    """
    left = (table["split"] == "pool") & (table["label"] == DEFECT) & (table["injected"] == 0)
    names = parts(table)
    used = (table["in_test"] == 1) | table["split"].isin(["train", "val", "test"])
    left &= (table["in_test"] == 0) & ~names.isin(set(names[used]))
    if groups:
        left &= table["defect_type"].isin(groups)
    return table[left]


def chosen(table: pd.DataFrame, fraction: float, groups: tuple[str, ...], seed: int) -> tuple[str, ...]:
    """Ids, sorted, of the first floor(fraction · n) of the n `available` ones in an order of their ids.

    A smaller fraction is inside a larger one (ISP sect. 5.2). What is available shrinks as more defects are
    hidden: fractions compare at one noise level only.
    """
    ids = available(table, groups)["image_id"]
    order = sorted(ids, key=lambda image_id: derived_seed("known", seed, image_id))
    return tuple(sorted(order[: floor(fraction * len(order) + 1e-9)]))
