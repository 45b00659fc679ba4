"""How soon a review queue shows what a human should see. For measuring only: no queue sees any of this."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

SHARES = (5, 10, 20)  # per cent of the queue


def found_at(sought: ArrayLike, name: str) -> dict[str, float]:
    """Share of the sought photos that the first 5, 10 and 20 % of a queue hold.

    Args:
        sought: (n,) true for a photo that a human should see, in the order of the queue.
        name: of the figures: `<name>_at_5pct` ...

    Returns:
        The shares, 0 to 1; nothing where nothing is sought. A part of a photo counts as a photo.
    """
    flags = np.asarray(sought, dtype=bool)
    total = int(flags.sum())
    if not total:
        return {}
    return {f"{name}_at_{share}pct": flags[: first(len(flags), share)].sum() / total for share in SHARES}


def first(photos: int, share: int) -> int:
    """How many photos the first `share` per cent of `photos` are, rounded up."""
    return math.ceil(photos * share / 100)
