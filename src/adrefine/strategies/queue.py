"""Which images a human should look at first. No label comes in here."""

from __future__ import annotations

import numpy as np
import pandas as pd

_TO_DEVIATIONS = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
VARIANT = "a variant? others look like it in most places: it stays until you judge it"
COLUMNS = ("image_id", "path", "kept", "score", "threshold", "doubt", "reason")


def review_queue(images: pd.DataFrame) -> pd.DataFrame:
    """The images that no human has answered for, ranked by how much an answer is expected to change.

    Expected change = chance that the present decision is wrong × what reversing it does. Reversing any one
    decision adds or takes one image of n, so the second factor is taken as the same for all, and the ranking
    is that of the chance, `doubt`. The threshold is where the strategy itself is undecided, so doubt is .5
    there and falls with the distance, on both sides alike:

        doubt = Φ(-z), z = ± log(score / threshold) / spread, + if the image was removed, - if it was kept

    where Φ is the normal distribution and spread the robust standard deviation (1.4826 MAD) of the log
    scores, each relative to its round's median. Logs, because scores are positive and thresholds multiples.
    An image that stayed over the threshold (the rounds ran out) has a doubt over .5 and comes first. The
    score and the threshold are those of the last round that scored the image.

    Without a threshold (vanilla, a fixed size) doubt is NaN: kept images come first, the highest score ahead,
    then the removed ones, the lowest score ahead.

    Args:
        images: see engine.Outcome, with a column `path`; where photos weigh with their `weight`: doubt is .5
            where one counts for a half; and `variant` (0/1), which come first: see `places.variants`.

    Returns:
        COLUMNS, the most doubtful image first; `reason` in plain words.
    """
    kept = (images["kept"] == 1).to_numpy()
    score, threshold, relative = (
        images[name].to_numpy(float) for name in ("score", "threshold", "relative_score")
    )
    weight = images["weight"].tolist() if "weight" in images else [1.0] * len(images)
    rows = zip(kept.tolist(), score.tolist(), threshold.tolist(), weight, strict=True)
    variant = images["variant"].tolist() if "variant" in images else [0] * len(images)
    reasons = [VARIANT if odd else _reason(*row) for odd, row in zip(variant, rows, strict=True)]
    towards = np.where(kept, -1, 1)  # how the chance of a wrong decision grows with the score, reversed
    with np.errstate(divide="ignore", invalid="ignore"):
        doubt = _doubt(towards * np.log(score / threshold), np.log(relative))
    table = images.assign(
        doubt=doubt, reason=reasons, removed=~kept, rank=towards * relative, variant=variant
    )
    order = {"variant": False, "doubt": False, "removed": True, "rank": True, "image_id": True}
    table = table[table["reviewed"] == ""].sort_values(
        list(order), ascending=list(order.values()), ignore_index=True
    )
    return table[list(COLUMNS)]


def _doubt(margin: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Φ(-margin / robust spread of the `logs`), (n,); NaN where there is no margin."""
    from scipy.special import ndtr

    known = logs[np.isfinite(logs)]
    spread = _TO_DEVIATIONS * float(np.median(np.abs(known - np.median(known)))) if len(known) else 0.0
    return np.asarray(ndtr(-margin / (spread or 1.0)), dtype=float)


def _reason(kept: bool, score: float, threshold: float, weight: float) -> str:
    what = "kept" if kept else "removed"
    if not np.isfinite(score):
        return f"{what}, never scored"
    if not np.isfinite(threshold):
        return f"{what} by rank, the strategy has no limit"
    apart = abs(score / threshold - 1) if threshold else np.inf
    side = "over" if score > threshold else "under"
    far = "just" if apart < 0.005 else f"{apart:.0%}" if np.isfinite(apart) else "far"
    if kept and weight < 1:
        return f"kept, counts for {weight:.0%}" if weight > 0.01 else "kept, counts for next to nothing"
    if kept and score > threshold:
        return f"kept although {far} over the limit: the refinement ended first"
    return f"{what}, {far} {side} the limit"
