"""One grey scale for a whole set of photos that hold more than 8 bits: which values become black and white.

What a file's type can hold says little: cameras of 10 and 12 bits write 16-bit files, and floats have no
range at all. Every photo of a kind is therefore measured first; then the scale comes from the setting
`dataset.bit_depth`, from the tags if they agree with the photos, or from what the set reaches. A photo on its
own never decides: scaled by its own range, the dark one would look like the rest, and the odd pixel would
turn its photo black.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil, floor, log10
from typing import Any

import numpy as np
import numpy.typing as npt

from adrefine.errors import UserError
from adrefine.ingestion import voids

INTEGER, FLOAT, DECLARED = "integer", "float", "declared"
_OVERSHOOT = 1.05  # floats pass their full scale a little after flat-field correction
_IGNORED = 4  # pixels a photo, and one in 50,000, that may lie outside the range: hot and dead ones
_OUTLIERS, _FAR = 20, 16  # one photo in 20 that reaches 16 times what the others do has no say
_PEDESTAL = 8  # a set that uses less than this part of its scale, far from black, gets a scale of its own


@dataclass(frozen=True)
class Levels:
    """What a photo's sample values reach.

    Attributes:
        kind: INTEGER, FLOAT, or DECLARED for files whose type says the full scale (12 bits packed).
        low, high: smallest and largest value but for a few pixels; with DECLARED `high` is the full scale.
        ones: bits that are set in any value (integers without sign): shows values aligned to the top.
        declared: largest possible value by tags that are often wrong (MaxSampleValue, sBIT), else None.
        under, over: values apart below and above these, which may say that nothing was measured (`voids`);
            `settled` leaves those that do.
    """

    kind: str
    low: float
    high: float
    ones: int = 0
    declared: float | None = None
    under: float | None = None
    over: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For the side cache."""
        return asdict(self)


@dataclass(frozen=True)
class Scale:
    """The values that become black (0) and white (255)."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{_text(self.low)}..{_text(self.high)}"

    def apply(self, values: npt.NDArray[np.generic], inverted: bool = False) -> npt.NDArray[np.uint8]:
        """Values of any type and shape as uint8; `inverted`: the file means white by small ones."""
        numbers: npt.NDArray[np.float32] = values.astype(np.float32)
        numbers -= np.float32(self.low)
        numbers *= np.float32(255 / (self.high - self.low))
        grey = np.clip(np.rint(numbers), 0, 255).astype(np.uint8)
        return np.uint8(255) - grey if inverted else grey


EIGHT_BIT = Scale(0, 255)
Scales = Mapping[str, Scale]  # by Levels.kind; DECLARED ones bring their own


def parse(text: str) -> Scale:
    """The scale that `str` wrote."""
    low, _, high = text.partition("..")
    return Scale(float(low), float(high))


def measure(values: npt.NDArray[np.generic], declared: float | None = None) -> Levels:
    """Levels of sample values of any number type and shape."""
    flat = values.ravel()
    under, over, flat = voids.of(flat, _few(flat.size))
    skipped = _few(flat.size)
    ends = np.partition(flat, (skipped, flat.size - 1 - skipped))
    low, high = float(ends[skipped]), float(ends[flat.size - 1 - skipped])
    if values.dtype.kind == "f":
        return Levels(FLOAT, low, high, declared=declared, under=under, over=over)
    signed = values.dtype.kind == "i" and int(flat.min()) < 0
    ones = 0 if signed else int(np.bitwise_or.reduce(flat))
    return Levels(INTEGER, low, high, ones, declared, under, over)


def _few(pixels: int) -> int:
    return min(_IGNORED + pixels // 50_000, (pixels - 1) // 2)


def settled(levels: Mapping[str, Levels]) -> dict[str, Levels]:
    """The same, where `under` and `over` stay only if they stand apart from the whole set; others are values
    like any other. A photo of nothing but such a value has no say."""
    made = dict(levels)
    for kind in (INTEGER, FLOAT):
        ours = {name: one for name, one in levels.items() if one.kind == kind}
        nothing = {end for one in ours.values() for end in (one.under, one.over) if end is not None}
        seen = [one for one in ours.values() if not (one.low == one.high and one.low in nothing)]
        if nothing and seen:
            low, high = -_reach([-one.low for one in seen]), _reach([one.high for one in seen])
            made |= {name: _settled(one, low, high, nothing) for name, one in ours.items()}
    return made


def _settled(one: Levels, low: float, high: float, nothing: set[float]) -> Levels:
    if one.low == one.high and one.low in nothing:
        if voids.is_under(one.low, low, high):
            return replace(one, low=low, high=low, ones=0, under=one.low)
        if voids.is_over(one.low, low, high):
            return replace(one, low=high, high=high, ones=0, over=one.low)
    if one.under is not None and not voids.is_under(one.under, low, high):
        one = replace(one, low=one.under, under=None)
    if one.over is not None and not voids.is_over(one.over, low, high):
        one = replace(one, high=one.over, over=None)
    return one


def apart(levels: Levels, scale: Scale) -> list[float]:
    """Values of a settled photo that say nothing was measured and lie far from its scale."""
    margin = (_OVERSHOOT - 1) * (scale.high - scale.low)
    ends = [end for end in (levels.under, levels.over) if end is not None]
    return [end for end in ends if not scale.low - margin <= end <= scale.high + margin]


def choose(levels: Mapping[str, Levels], bit_depth: int | None = None) -> dict[str, Scale]:
    """The scales of a set of photos, by kind.

    Args:
        levels: of every photo that holds more than 8 bits, by its name.
        bit_depth: bits of the camera, if the user says so.

    Raises:
        UserError: a photo reaches values that `bit_depth` bits cannot hold.
    """
    scales: dict[str, Scale] = {}
    levels = settled(levels)
    for kind in (INTEGER, FLOAT):
        ours = {name: one for name, one in levels.items() if one.kind == kind}
        if ours:
            scales[kind] = _by_setting(ours, bit_depth) if bit_depth else _by_range(list(ours.values()))
    return scales


def of(levels: Levels, scales: Scales) -> Scale:
    """The scale of one photo of the set."""
    return Scale(0, levels.high) if levels.kind == DECLARED else scales[levels.kind]


def dims(levels: Levels, scale: Scale) -> bool:
    """Whether the photo uses a quarter of its scale or less: on its own it would be taken for one of fewer
    bits."""
    whole = levels.kind == INTEGER
    return levels.kind != DECLARED and _full(levels.high, whole) <= (scale.high + whole) / 4


def _by_setting(named: Mapping[str, Levels], bits: int) -> Scale:
    levels = list(named.values())
    whole, ones, full = levels[0].kind == INTEGER, _ones(levels), 2**bits - 1
    most = max(named, key=lambda name: named[name].high)
    high = named[most].high
    if not whole and high <= _OVERSHOOT:  # already divided by its full scale
        return Scale(0, 1)
    if high <= full * (1 if whole else _OVERSHOOT):
        return Scale(0, full)
    if ones and high <= 65535 and _trailing_zeros(ones) >= 16 - bits:  # aligned to the top of 16 bits
        return Scale(0, full << (16 - bits))
    raise UserError(
        f"dataset.bit_depth = {bits}: {most} reaches {_text(high)}, {bits} bits end at {full}: set it to "
        "what the camera delivers, or to auto, or take the photo out"
    )


def _reach(values: list[float]) -> float:
    """The largest value, without those of a few photos far beyond all others."""
    ordered = sorted(values)
    rest = ordered[: len(ordered) - len(ordered) // _OUTLIERS]
    within = [value for value in ordered if value <= _FAR * max(rest[-1], 0)]
    return within[-1] if within else ordered[-1]


def _by_range(levels: list[Levels]) -> Scale:
    low, high = -_reach([-one.low for one in levels]), _reach([one.high for one in levels])
    declared = {one.declared for one in levels if one.declared is not None}
    whole = levels[0].kind == INTEGER
    top = declared.pop() if len(declared) == 1 else None
    if top is None or not high <= top:
        top = _full(high, whole)
        if whole and top in voids.USUAL:
            zeros = _trailing_zeros(_ones(levels))
            top = (int(top) >> zeros << zeros) or top  # white of values aligned to the top
    if low < 0 and -low > (_OVERSHOOT - 1) * max(high, 0):
        return Scale(-(_nice(-low) if whole else _full(-low, whole)), _nice(high) if whole else top)
    if low > top / _PEDESTAL and high - low < top / _PEDESTAL and high > low:
        step = 10.0 ** floor(log10(high - low))
        return Scale(floor(low / step) * step, ceil(high / step) * step)
    return Scale(0, top)


def _full(high: float, whole: bool) -> float:
    """The full scale of a set that reaches `high`: of the usual ones the smallest that holds it, unless the
    set uses less than a quarter of it."""
    if high <= 0:
        return 255.0 if whole else 1.0
    tolerance = 1.0 if whole else _OVERSHOOT
    for full in voids.USUAL if whole else (1, *voids.USUAL):
        if high <= full * tolerance and (whole or high > full / 4):
            return full
    return _nice(high)


def _nice(value: float) -> float:
    """Rounded up to two digits, so that the next photo hardly ever changes the scale."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{ceil(value / step * (1 - 1e-12)) * step:.12g}")


def _ones(levels: list[Levels]) -> int:
    ones = 0
    for one in levels:
        ones |= one.ones
    return ones


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1 if value else 0


def _text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"
