"""Whether two photos are odd in the same way: then one of them cannot be good and the other defective."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from adrefine.places.out_of_fold import Array
from adrefine.places.variants import Usual, some
from adrefine.places.voters import TOP

_USUAL = 200  # photos that say what is usual: a session is to start at once


class Alike:
    """Compares photos where they are oddest.

    Args:
        photo: the map (p, d) of the photo at a place of the list.
        distances: (n, p) how odd each place of each photo is.
    """

    def __init__(self, photo: Callable[[int], Array], distances: Array) -> None:
        self.photo, count = photo, max(1, round(TOP * distances.shape[1]))
        self.oddest = np.argpartition(-distances, count - 1, axis=1)[
            :, :count
        ]  # (n, count) places of the map
        weight = np.take_along_axis(distances, self.oddest, axis=1)
        self.weight = weight / weight.sum(axis=1, keepdims=True)
        self.usual = Usual.of(np.stack([photo(place) for place in some(range(len(distances)), _USUAL)]))
        self.turned: dict[int, np.ndarray] = {}

    def __call__(self, one: int, others: Sequence[int]) -> Array:
        """How alike photo `one` and each of the `others` (k,) are odd: 1 is the same defect.

        The mean cosine of their deviations from the usual at the oddest places of the one and of the other,
        the lower of the two: a photo that is not odd where the other is, is not like it.
        """
        pairs = ((self._at(one, one, other), self._at(other, one, other)) for other in others)
        return np.array([min(pair) for pair in pairs])

    def _at(self, place: int, one: int, other: int) -> float:
        """The cosine of two photos at the oddest places of the photo at `place`."""
        where = self.oddest[place]
        cosines = np.einsum("pd,pd->p", self._directions(one)[where], self._directions(other)[where])
        return float(cosines @ self.weight[place])

    def _directions(self, place: int) -> np.ndarray:
        if place not in self.turned:
            self.turned[place] = self.usual.directions(self.photo(place)[None])[0]
        return self.turned[place]
