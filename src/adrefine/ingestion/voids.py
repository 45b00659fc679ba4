"""Values that say "nothing was measured here", such as -9999, -32768 or 65535 among 12 bits.

They stand alone at an end, in more than a few pixels, far from all that was measured. They must not stretch
the grey scale of a set. One photo can only suggest such a value, the set decides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

USUAL = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # full scales of 8, 10, 12, 14 and 16 bits
_WHITE = (1.0, *USUAL[:-1])  # where sensors saturate: what reaches it is bright, however far the rest lies
_GAP = 2  # times the range of all that was measured


def of(
    flat: npt.NDArray[np.generic], skipped: int
) -> tuple[float | None, float | None, npt.NDArray[np.generic]]:
    """The values below and above the others of a photo that may mean nothing, and its other values.

    Args:
        flat: (n,), of any number type.
        skipped: pixels that are too few to count.
    """
    under = _end(flat, skipped, below=True)
    rest = flat if under is None else flat[flat != under]
    over = _end(rest, skipped, below=False)
    rest = rest if over is None else rest[rest != over]
    return *(None if end is None else float(end) for end in (under, over)), rest  # type: ignore[return-value]


def is_under(value: float, low: float, high: float) -> bool:
    """Whether it stands apart below `low` to `high`; one negative value under none is no measurement."""
    return value < 0 <= low or low - value >= _GAP * (high - low) > 0


def is_over(value: float, low: float, high: float) -> bool:
    """Whether it stands apart above `low` to `high`."""
    return value not in _WHITE and value - high >= _GAP * (high - low) > 0


def _end(flat: npt.NDArray[np.generic], skipped: int, below: bool) -> np.generic | None:
    end: np.generic = flat.min() if below else flat.max()
    others = flat != end
    count = int(np.count_nonzero(others))
    if not 0 < count < flat.size - skipped:
        return None
    rest = flat[others]
    few = min(skipped, (rest.size - 1) // 2)
    ends = np.partition(rest, (few, rest.size - 1 - few))
    low, high = float(ends[few]), float(ends[rest.size - 1 - few])
    return end if (is_under if below else is_over)(float(end), low, high) else None
