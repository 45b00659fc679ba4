"""How well a ranking brings the hidden defects to the top. For measuring only: no strategy sees this."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from adrefine.metrics.detection import aupr, auroc

_ROUNDING = 1e-9  # .9 of 10 is 9, not 10


def ranking_metrics(hidden: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """Figures of a ranking of the training photos, the most suspicious first.

    Args:
        hidden: (n,) 1 for a hidden defect, 0 for a good photo.
        scores: (n,) higher is more suspicious; NaN: never ranked, a human removed the photo first.

    Returns:
        auroc; ap (average precision); depth_90, depth_100 (inspection depth, see `depth`). Nothing if the
        ranked photos are all hidden defects or all good.
    """
    flags, values = np.asarray(hidden) == 1, np.asarray(scores, dtype=np.float64)
    flags, values = flags[~np.isnan(values)], values[~np.isnan(values)]
    if not flags.any() or flags.all():
        return {}
    figures = {"auroc": auroc(flags, values), "ap": aupr(flags, values)}
    return figures | {f"depth_{share:.0%}"[:-1]: depth(flags, values, share) for share in (0.9, 1.0)}


def depth(hidden: ArrayLike, scores: ArrayLike, share: float) -> float:
    """Share of the ranked list to read until `share` of the hidden defects was seen (inspection depth).

    Args:
        hidden: (n,) true for a hidden defect, at least one.
        scores: (n,) higher is read earlier; of equal scores the good photos are read first.
        share: over 0 to 1; a part of a defect counts as a defect.
    """
    flags, values = np.asarray(hidden, dtype=bool), np.asarray(scores, dtype=np.float64)
    seen = np.cumsum(flags[np.lexsort((flags, -values))])
    return float(np.searchsorted(seen, ceil(share * seen[-1] - _ROUNDING)) + 1) / len(flags)
