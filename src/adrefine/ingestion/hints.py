"""What looks like a slip of the camera: blur, exposure, an odd size. Hints, never a reason to remove.

Each photo is compared with the others of its set. So a smooth part is not blurred because it is smooth: all
of them are. Checks with one limit for every set call uniform photos blurry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from adrefine.text import counted

COLUMNS = ("image_id", "source", "hint")
FAR = 6.0  # robust deviations from the set's median
SHARPNESS = 1.4  # natural logarithm: the variance of the Laplacian is a fourth of the usual, at least
BRIGHTNESS = 25.0  # grey levels of 255, at least
RARE, USUAL = 0.02, 0.5  # a size is odd if so few have it while so many share another
FLAT, OTHERS = 0.04, 0.02  # share of rows of one shade at an edge, and the most that nine of ten others have
FEWEST = 10  # photos under which nothing is said
_ROBUST = 1.4826  # median absolute deviations to a standard deviation


def measure(grey: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Of an image (h, w): `sharpness`, the logarithm of its Laplacian's variance, `brightness`, its mean, and
    `flat`, the largest share of it that is of one shade from an edge on.

    The variance of the Laplacian falls when fine detail goes (Pech-Pacheco et al., "Diatom autofocusing in
    brightfield microscopy", ICPR 2000).
    """
    values = grey.astype(np.float32)
    laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    laplacian -= 4 * values[1:-1, 1:-1]
    return {
        "sharpness": round(float(np.log(laplacian.var() + 1e-3)), 4),
        "brightness": round(float(values.mean()), 3),
        "flat": round(max(_flat(np.rot90(grey, turns)) for turns in range(4)), 4),
    }


def _flat(grey: npt.NDArray[np.uint8]) -> float:
    """Share of the rows (h, w), from the first on, that are of one shade."""
    uniform = np.append((grey == grey[0, 0]).all(axis=1), False)
    return int(uniform.argmin()) / len(grey)


def find(photos: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS, a row for each hint, sorted by image_id.

    Args:
        photos: image_id, source, width, height, sharpness, brightness, flat.
    """
    if len(photos) < FEWEST:
        return pd.DataFrame(columns=list(COLUMNS))
    sharpness, brightness = (_Apart(photos[name].to_numpy(float)) for name in ("sharpness", "brightness"))
    sizes = list(zip(photos["width"], photos["height"], strict=True))
    rare, common = rare_sizes(sizes), Counter(sizes).most_common(1)[0][0]
    flat = photos["flat"].to_numpy(float)
    told = {
        "of one shade from an edge on (cut short?)": (flat >= FLAT) & (np.quantile(flat, 0.9) <= OTHERS),
        "blurred, beside the others": (sharpness.far < -FAR) & (sharpness.away < -SHARPNESS),
        "darker than the others": (brightness.far < -FAR) & (brightness.away < -BRIGHTNESS),
        "brighter than the others": (brightness.far > FAR) & (brightness.away > BRIGHTNESS),
    }
    rows = [
        (*photo, hint)
        for hint, flagged in told.items()
        for photo in photos.loc[flagged, ["image_id", "source"]].itertuples(index=False)
    ]
    names = zip(photos["image_id"], photos["source"], sizes, strict=True)
    usual = f"of another size than most ({common[0]} x {common[1]})"
    rows += [(image_id, source, usual) for image_id, source, size in names if size in rare]
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS))


def rare_sizes(sizes: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of the `sizes` (n,) that few photos have, while most share another; none where sizes vary."""
    counts = Counter(sizes)
    most = max(counts.values(), default=0)
    few = RARE * len(sizes) if most > USUAL * len(sizes) else 0.0
    return {size for size, count in counts.items() if count < few}


def warnings(hints: pd.DataFrame) -> list[str]:
    """A line if there are hints."""
    if hints.empty:
        return []
    kinds = Counter(str(hint).partition(",")[0].partition(" (")[0] for hint in hints["hint"])
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    count = counted(hints["image_id"].nunique(), "photo")
    return [f"hints at slips of the camera in {count}: {told}; see hints.csv"]


class _Apart:
    """How far values lie from their median: `away` in their own units, `far` in robust deviations."""

    def __init__(self, values: npt.NDArray[np.float64]) -> None:
        self.away = values - np.median(values)
        self.far = self.away / (_ROBUST * np.median(np.abs(self.away)) + 1e-9)
