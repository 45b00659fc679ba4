"""Whether the photos of a set are turned and cropped to the part, from all of its training photos at once.

Turning helps where parts lie at any angle, and harms where they all lie alike or have no axis. So five
things must hold: a part is found in nearly all photos, there are enough of them, they have a clear axis, the
angles spread, and the photos agree better after turning than before. No label is used, and no test photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2

import numpy as np
import numpy.typing as npt

from adrefine.ingestion.pose import Pose
from adrefine.text import counted

PART, STRETCH, AUTO = "part", "stretch", "auto"
FEWEST = 8  # parts from which a spread of angles can be told
FOUND = 0.9  # share of the photos in which a part is needed
AXIS = 1.3  # ratio of the deviations along and across that nine of ten parts must reach
SPREAD = 0.2  # circular variance of the doubled angle, 0 to 1; .2 is a deviation of 19 degrees
GAIN = 0.1  # by which the mean correlation of two photos must rise
ALIKE = 0.15  # parts whose proportions differ by less than this share are all stretched to the square

Thumbnails = npt.NDArray[np.floating]  # (n, k), each of mean 0 and norm 1, or all 0


@dataclass(frozen=True)
class Decision:
    """What is done with the photos, and why.

    Attributes:
        fit: PART, STRETCH, or what the user chose.
        reason: in plain words; "" if nothing had to be decided.
        aspect: length by width of the box that becomes the square; 0: each part's own.
        figures: what it was decided by, rounded.
    """

    fit: str
    reason: str = ""
    aspect: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


def decide(wanted: str, poses: Sequence[Pose], upright: Thumbnails, turned: Thumbnails) -> Decision:
    """Decide for a set of photos.

    Args:
        wanted: PART turns wherever a part is found; AUTO decides.
        poses: of the training photos, in no particular order.
        upright, turned: thumbnails of these photos stretched, and turned and cropped each to its part.
    """
    lying = [index for index, pose in enumerate(poses) if not pose.problem]
    parts = [poses[index] for index in lying]
    if not parts:
        return Decision(STRETCH, "no part was found in any photo", figures={"found": 0.0})
    figures = measure(parts) | {
        "found": round(len(parts) / len(poses), 3),
        "agreement_before": round(agreement(upright[lying]), 3),
        "agreement_after": round(agreement(turned[lying]), 3),
    }
    against = _against(figures, len(parts), len(poses)) if wanted == AUTO else ""
    if against:
        return Decision(STRETCH, against, figures=figures)
    reason = _in_favour(figures) if wanted == AUTO else "dataset.fit = part"
    return Decision(PART, reason, common_aspect(parts), figures)


def measure(parts: Sequence[Pose]) -> dict[str, float]:
    """Circular variance of the doubled angles (an axis has no direction) and the ratio that nine of ten
    parts reach."""
    angles = np.array([part.angle for part in parts])
    return {
        "circular_variance": round(1 - float(abs(np.exp(2j * angles).mean())), 3),
        "axis_ratio": round(float(np.quantile([part.ratio for part in parts], 0.1)), 3),
    }


def agreement(thumbnails: Thumbnails) -> float:
    """Mean correlation of two different photos; 0 for fewer than two."""
    rows = np.asarray(thumbnails, dtype=np.float64)
    n, squares = len(rows), float((rows**2).sum())
    return (float((rows.sum(axis=0) ** 2).sum()) - squares) / (n * (n - 1)) if n > 1 else 0.0


def common_aspect(parts: Sequence[Pose]) -> float:
    """Length by width of the box that suits all parts, in steps of √2 so that one more photo rarely changes
    it; 0, each part's own, where they have the same proportions."""
    aspects = np.array([part.length / part.width for part in parts])
    low, middle, high = np.quantile(aspects, [0.1, 0.5, 0.9])
    if high <= low * (1 + ALIKE):
        return 0.0
    return float(round(2 ** (round(2 * log2(middle)) / 2), 6))


def _against(figures: dict[str, float], parts: int, photos: int) -> str:
    """The first reason to leave the photos alone; "" if there is none."""
    if figures["found"] < FOUND:
        return f"a part was found in {parts} of {counted(photos, 'training photo')} only"
    if parts < FEWEST:
        return f"{counted(parts, 'training photo')} are too few to tell, {FEWEST} are needed"
    if figures["axis_ratio"] < AXIS:
        return f"the parts have no clear axis (ratio {figures['axis_ratio']:.2f})"
    if figures["circular_variance"] < SPREAD:
        return f"the parts lie alike (circular variance {figures['circular_variance']:.2f})"
    if figures["agreement_after"] < figures["agreement_before"] + GAIN:
        return f"turned photos would not agree better ({_agreement(figures)})"
    return ""


def _in_favour(figures: dict[str, float]) -> str:
    return (
        f"the parts lie at different angles (circular variance {figures['circular_variance']:.2f}), and "
        f"turned photos agree better ({_agreement(figures)})"
    )


def _agreement(figures: dict[str, float]) -> str:
    return f"correlation {figures['agreement_before']:.2f} before, {figures['agreement_after']:.2f} after"
