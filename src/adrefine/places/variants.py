"""Rare but good variants among photos that stand out: they resemble each other in many places, not in one.

A defect is odd at a few places, even where its kind repeats. Mirrored parts, another pose or another shade
are odd alike almost everywhere. `python -m benchmarks.places.variants` counts both on real products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adrefine.places.sharded import Store
from adrefine.places.sums import Array

FROM = 3.0  # strength from which a photo may be taken for a variant: what stays needs no mark
LIKE = 1.0  # strength from which a photo may be one of the group
ALIKE = 0.6  # cosine of two photos' deviations at a place from which they resemble each other there
MANY = 0.5  # share of the places, inside the region, in which two photos of a variant resemble each other
OTHERS = 2  # photos that it resembles, at least
_USUAL = 1000  # photos that say what is usual at a place
_COMPARED = 400  # strongest photos that are compared with each other: bounds memory and time
_FARTHEST = 8.0  # robust deviations over which a channel counts as so far
_ROBUST = 1.4826


def variants(store: Store, ids: Sequence[str], strength: Array) -> frozenset[str]:
    """Those of the photos `ids` that stand out (n,) and belong to a variant."""
    strongest = np.sort(np.argsort(-strength, kind="stable")[:_COMPARED])
    asked, like = (strongest[strength[strongest] > least] for least in (FROM, LIKE))
    if not len(asked) or len(like) <= OTHERS:
        return frozenset()
    usual = Usual.of(store.maps(some(ids)))
    others = usual.directions(store.maps([ids[place] for place in like]))
    members = set()
    for place in asked:
        own = others[np.searchsorted(like, place)]
        shares = (np.einsum("npd,pd->np", others, own) > ALIKE)[:, usual.inside].mean(axis=1)
        if (shares >= MANY).sum() - 1 >= OTHERS:  # it resembles itself
            members.add(ids[place])
    return frozenset(members)


def some(ids: Sequence[Any], most: int = _USUAL) -> Sequence[Any]:
    """Evenly chosen ones that are enough to say what is usual."""
    return ids[:: -(-len(ids) // most)]


@dataclass(frozen=True)
class Usual:
    """Median (p, d) and robust deviation of each channel at each place.

    Attributes:
        inside: (p,) the region of interest; outside all is 0.
    """

    middle: np.ndarray
    unit: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray) -> Usual:
        """Of maps (n, p, d)."""
        maps = maps.astype(np.float32)
        middle = np.median(maps, axis=0)
        unit = _ROBUST * np.median(np.abs(maps - middle), axis=0) + 1e-6
        return cls(middle, unit, np.asarray(maps.any(axis=(0, 2))))

    def directions(self, maps: np.ndarray) -> np.ndarray:
        """Deviations (n, p, d) from what is usual, in its units, of length 1 at each place."""
        away = np.clip((maps.astype(np.float32) - self.middle) / self.unit, -_FARTHEST, _FARTHEST)
        return np.asarray(away / np.maximum(np.linalg.norm(away, axis=2, keepdims=True), 1e-9))
