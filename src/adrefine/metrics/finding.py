"""What a refinement can say of a training set, as a number for metrics.json and as a sentence."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adrefine.strategies.share import Share

CLEAN, REMOVED, CANNOT_TELL = 0, 1, 2  # cleaning.outcome
FEW = 0.1  # estimated share up to which a set that nothing stands out from is called clean
ANSWERS = 20  # photos to ask for where the machine cannot tell: what a person looks at in a minute


def outcome(removed: int, share: Share | None) -> int:
    """Clean as far as can be seen (0), removed (1) or cannot tell (2).

    Args:
        removed: photos that are out, by whatever rule.
        share: what is estimated to hide; None: unknown.
    """
    if removed:
        return REMOVED
    return CLEAN if share is not None and share.low == 0 and share.estimate <= FEW else CANNOT_TELL


def figures(removed: int, share: Share | None) -> dict[str, Any]:
    """`outcome` and, where it is known, `share` {estimate, low, high}, as metrics.json has them."""
    known = {} if share is None else {"share": asdict(share)}
    return {"outcome": outcome(removed, share), **known}


def waiting(count: int) -> str:
    """That so many photos may be a variant, and what becomes of them."""
    photos = "1 photo may be" if count == 1 else f"{count} photos may be"
    return f"{photos} of a rare but good variant, and stay until you judge them (`adrefine review`)"


def sentence(finding: dict[str, Any], removed: int, photos: int) -> str:
    """The outcome in words.

    Args:
        finding: see `figures`.
        removed: photos that are out. photos: all training photos.
    """
    share = finding.get("share")
    hide = "" if share is None else f"{share['low']:.0%} to {share['high']:.0%}"
    ask = f"judge the first {min(ANSWERS, photos)} photos of `adrefine review`, or set refine.contamination"
    if finding["outcome"] == CLEAN:
        return f"clean, as far as can be seen: nothing stands out; {hide} may be hidden defects"
    if finding["outcome"] == CANNOT_TELL:
        about = "" if share is None else f" (about {share['estimate']:.0%}, {hide})"
        return f"cannot tell how many of these photos are hidden defects{about}: {ask}"
    gone = f"{removed} of {photos} photos {'was' if removed == 1 else 'were'} removed"
    if share is None:
        return f"{gone}; the share of hidden defects is unknown: {ask}"
    return f"about {share['estimate']:.0%} are hidden defects ({hide}); {gone}"
