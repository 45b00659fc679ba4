"""How many photos go, and what can be said of how many hide. No document; nothing here sees a label.

Every constant was chosen on six products, and its effect measured on each with that product left out:
`python -m benchmarks.products.evidence`; what a person's answers change: `python -m benchmarks.review`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING

import numpy as np

from adrefine.reviewing.belief import Belief

if TYPE_CHECKING:
    from adrefine.places.evidence import Evidence
    from adrefine.places.out_of_fold import Array, Flags

LIMIT = 3.0  # robust deviations over which a photo stands out
PER_SPREAD = (
    10.0  # ... and for each unit of spread, if that is more: parts in any pose look odd by themselves
)
FAR = 2.5  # limits over which a photo goes however many do
UNSURE = 0.03  # most of the photos that go between one and FAR limits: what a clean set may lose
MIXED = 0.5  # spread from which a set is parts in any pose
AT_STEP, PER_STEP = 0.233, 0.190  # estimated share at width 0, and for each unit of width
OVER, UNDER = 0.103, 0.156  # how far over and under the true share 5 % of the estimates were
FEWEST = 50  # photos under which nothing was measured
MOST = 0.5
ANSWERED = 5  # answers of a person from which they tell of the other photos
_LEAST = -300.0  # strength whose exponential is still a number to count with
LIKELY = 0.5  # chance to be defective, by the answers, over which a photo goes

Contamination = float | tuple[float, float] | None  # a share, bounds of it, None: nobody knows


@dataclass(frozen=True)
class Share:
    """Estimated share of hidden defects, and bounds that held the true one in nine of ten sets."""

    estimate: float
    low: float
    high: float


def limit(evidence: Evidence) -> float:
    """Strength over which a photo stands out; without twins the spread is unknown and taken for mixed."""
    spread = evidence.spread if isfinite(evidence.spread) else MIXED
    return max(LIMIT, PER_SPREAD * spread)


def estimate_share(evidence: Evidence) -> Share | None:
    """The share from the width of the places' scores; None where it cannot be told.

    It cannot where parts lie in any pose, which is as wide as defects make it, with few photos and without
    twins. Over five products, each left out in turn, the interval held the true share in 86 % of the sets
    (`python -m benchmarks.products.leads`).
    """
    if not (evidence.spread < MIXED and isfinite(evidence.width)) or len(evidence.ids) < FEWEST:
        return None
    share = min(max(AT_STEP + PER_STEP * evidence.width, 0.0), MOST)
    return Share(share, max(share - OVER, 0.0), min(share + UNDER, MOST))


def belief(evidence: Evidence, known: Flags, cleared: Flags) -> Belief | None:
    """What answers tell of the other photos; None with fewer than `ANSWERED`.

    Args:
        known, cleared: (n,) photos that a human removed, and kept.
    """
    told = Belief(evidence.strength, known, cleared, evidence.among(evidence.variants))
    return told if enough(told) else None


def enough(told: Belief) -> bool:
    """Whether so many answers tell of the other photos that they count."""
    return int(told.telling.sum()) >= ANSWERED


def answered_share(evidence: Evidence, known: Flags, cleared: Flags) -> Share | None:
    """The share by a human's answers, what they removed included; without enough of them see
    `estimate_share`."""
    told = belief(evidence, known, cleared)
    if told is None:
        return estimate_share(evidence)
    hidden, defects, n = told.hidden(), int(known.sum()), len(known)
    return Share((defects + hidden.expected) / n, (defects + hidden.low) / n, (defects + hidden.high) / n)


def number(
    evidence: Evidence, free: Flags, known: Flags, contamination: Contamination, cleared: Flags | None = None
) -> int:
    """How many of the `free` photos go.

    By itself the rule takes what is over FAR limits, and of what is over one limit the worst, up to `UNSURE`
    of the photos, or more where more hide for sure. To confirm a defect never brings another photo back, and
    to clear one never lets another go, but for this: with `ANSWERED` answers what is `LIKELY` defective goes,
    too.

    Args:
        free: (n,) photos that no human decided on.
        known: (n,) photos that a human removed.
        contamination: a share: so many go, with those known; bounds: so many at least and at most.
        cleared: (n,) photos that a human keeps; None: none.
    """
    n, defects = len(free), int(known.sum())
    if isinstance(contamination, float):
        return min(max(round(contamination * n) - defects, 0), int(free.sum()))
    cleared = np.zeros(n, bool) if cleared is None else cleared
    chosen = _by_the_rule(evidence, free, free | known | cleared)
    if told := belief(evidence, known, cleared):
        chosen = max(chosen, int((told.fitted[free] > LIKELY).sum()))
    if contamination:
        low, high = ceil(contamination[0] * n - 1e-9) - defects, floor(contamination[1] * n + 1e-9) - defects
        chosen = max(min(chosen, high), low, 0)
    return min(chosen, int(free.sum()))


def _by_the_rule(evidence: Evidence, free: Flags, asked: Flags) -> int:
    """How many of the `free` photos are among those that the rule takes of all that are `asked`."""
    strength, n = evidence.strength[asked], len(free)
    border, share = limit(evidence), estimate_share(evidence)
    sure = max(UNSURE, share.low if share else 0.0)
    over, far = int((strength > border).sum()), int((strength > FAR * border).sum())
    chosen = max(far, min(over, floor(sure * n + 1e-9)))
    worst = np.argsort(-strength, kind="stable")[:chosen]
    return int(free[asked][worst].sum())


def multiple(strength: Array, border: float) -> Array:
    """Strengths (n,) in multiples of the `border`, which is 1: as people read them. Under one deviation
    `exp(strength - 1)` stands for the strength, so that every multiple is positive."""
    both = np.append(strength, border)
    positive = np.where(both < 1, np.exp(np.clip(both, _LEAST, 1.0) - 1), both)
    return np.asarray(positive[:-1] / positive[-1])


def border(strength: Array, count: int, natural: float) -> float:
    """Strength that the `count` strongest exceed; of equal ones at the border none does.

    Args:
        natural: taken where exactly so many exceed it; otherwise halfway to the next.
    """
    ordered = np.sort(strength)[::-1]
    if (ordered > natural).sum() == count:
        return natural
    if count == 0:
        return float(ordered[0])
    if count == len(ordered):
        return float(ordered[-1]) - 1.0
    middle = float(ordered[count - 1] + ordered[count]) / 2
    return middle if ordered[count - 1] > middle else float(ordered[count - 1])
