"""A Gaussian at every place of the maps, kept as sums: photos come and go exactly, whatever the order.

PaDiM (Defard et al. 2020; arXiv 2011.08785, sect. III.B) fits a mean and a covariance at every place. Both
follow from three sums over the photos: of the weights, of x and of x xᵀ. So a fold left out, a photo removed
or a family added is a difference or a sum of sums, and costs nothing per photo that stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adrefine.runtime.hardware import one_core_each

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Maps = npt.NDArray[np.floating]  # (n, places, channels)
_ROWS = 64  # photos taken at once: bounds memory, decides nothing beyond rounding
_MEASURED = 8  # photos measured at once, always as many: a photo's distances do not depend on the others
_FLAT = 1e-9  # variance, as a share of the mean square, under which a channel counts as constant


@dataclass
class Sums:
    """Weights (p,), sums of x (p, d) and of x xᵀ (p, d, d) over photos, at each of p places, in float64.

    float16 maps are exact in it: what is added and removed again leaves an error of rounding alone.
    """

    weight: Array
    first: Array
    second: Array

    @classmethod
    def empty(cls, places: int, channels: int) -> Sums:
        """Sums of no photo."""
        return cls(np.zeros(places), np.zeros((places, channels)), np.zeros((places, channels, channels)))

    @classmethod
    def of(cls, maps: Maps, weights: npt.ArrayLike | None = None) -> Sums:
        """Sums of `maps` (n, p, d); see `add`."""
        return cls.empty(*maps.shape[1:]).add(maps, weights)

    def add(self, maps: Maps, weights: npt.ArrayLike | None = None) -> Sums:
        """Take photos in; returns itself.

        Args:
            maps: (n, p, d).
            weights: (n,), or (n, p) where the places of a photo weigh differently; None: 1 each.
        """
        return self._take(maps, weights, 1.0)

    def remove(self, maps: Maps, weights: npt.ArrayLike | None = None) -> Sums:
        """Undo `add` of the same photos with the same weights; returns itself."""
        return self._take(maps, weights, -1.0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.weight + other.weight, self.first + other.first, self.second + other.second)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.weight - other.weight, self.first - other.first, self.second - other.second)

    def deviations(self) -> Array:
        """Deviation (d,) of each channel over all photos and places; 1 where a channel is constant.

        Places where all is 0 are outside the region of interest.
        """
        total = max(float(self.weight[self.second.any(axis=(1, 2))].sum()), 1.0)
        square = np.einsum("pdd->d", self.second) / total
        variance = square - (self.first.sum(axis=0) / total) ** 2
        return np.sqrt(np.where(variance > _FLAT * square, variance, 1.0))

    def model(self, shrinkage: float, ridge: float = 0.0, standardize: bool = True) -> Gaussians:
        """The Gaussian of every place: mean, and Σ + (shrinkage · tr(Σ) / d + ridge) · I.

        Σ is divided by the weight less one (PaDiM eq. 1). The shrunk variance keeps the directions that few
        photos leave open.

        Args:
            standardize: divide each channel by its `deviations` first; `ridge` is in those units.
        """
        import torch  # here: a section of params.yaml is read without it

        scale = self.deviations() if standardize else np.ones(self.first.shape[1])
        mean = self.first / np.maximum(self.weight, 1e-9)[:, None]
        covariance = self.second - mean[:, :, None] * self.first[:, None, :]
        covariance /= np.maximum(self.weight - 1, 1e-9)[:, None, None] * scale[:, None] * scale
        variances = np.einsum("pdd->pd", covariance)  # a view: writing to it changes the covariance
        variances += (shrinkage * np.maximum(variances.mean(axis=1), 1e-6) + ridge)[:, None]
        with one_core_each():  # more cores wait for each other in matrices this small
            lower = torch.linalg.cholesky(torch.from_numpy(covariance)).numpy()
        return Gaussians(mean, scale, lower)

    def _take(self, maps: Maps, weights: npt.ArrayLike | None, sign: float) -> Sums:
        import torch

        n, places = maps.shape[:2]
        given = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
        each = sign * np.broadcast_to(given[:, None] if given.ndim == 1 else given, (n, places))
        with one_core_each():
            for rows in slices(n, _ROWS):
                x = np.ascontiguousarray(maps[rows].swapaxes(0, 1), dtype=np.float64)  # (p, m, d)
                weighted = x * each[rows].T[:, :, None]
                self.weight += each[rows].sum(axis=0)
                self.first += weighted.sum(axis=1)
                self.second += torch.bmm(torch.from_numpy(weighted).mT, torch.from_numpy(x)).numpy()
        return self


@dataclass(frozen=True)
class Gaussians:
    """A Gaussian at each of p places: mean (p, d) in the maps' units, scale (d,) that divides the channels,
    and the lower Cholesky factor (p, d, d) of the covariance of what was divided."""

    mean: Array
    scale: Array
    lower: Array

    @property
    def seen(self) -> Flags:
        """(p,) places in the region of interest: outside all photos are 0 in every channel."""
        return np.any(self.mean != 0, axis=1)

    def distances(self, maps: Maps) -> Array:
        """Squared Mahalanobis distances (m, p) of maps (m, p, d) (PaDiM eq. 2, squared).

        Those of a photo are the same to the bit whatever photos it is measured with, or alone.
        """
        import torch

        lower, squared = torch.from_numpy(self.lower), np.empty(maps.shape[:2])
        away = np.zeros((_MEASURED, *maps.shape[1:]))
        with one_core_each():
            for start in range(0, len(maps), _MEASURED):
                rows = maps[start : start + _MEASURED]
                away[: len(rows)] = (rows.astype(np.float64) - self.mean) / self.scale
                columns = torch.from_numpy(away).permute(1, 2, 0)  # (p, d, m)
                white = torch.linalg.solve_triangular(lower, columns, upper=False)
                squared[start : start + len(rows)] = (white**2).sum(dim=1).T.numpy()[: len(rows)]
        return squared

    def log_density(self, maps: Maps) -> Array:
        """Natural logarithm (m, p) of the density of maps (m, p, d), in the maps' units."""
        half_log_det = np.log(np.einsum("pdd->pd", self.lower)).sum(axis=1) + np.log(self.scale).sum()
        return -0.5 * (self.distances(maps) + maps.shape[2] * math.log(2 * math.pi)) - half_log_det


def photo_scores(distances: Array, top: float) -> Array:
    """Logarithm (n,) of the mean of the largest share `top` of the squared distances (n, p), of one at least.

    A defect covers a few places. The mean of some is steadier than the largest, and one place is not a share.
    """
    count = max(1, round(top * distances.shape[1]))
    largest = np.partition(distances, -count, axis=1)[:, -count:]
    return np.log(np.maximum(largest.mean(axis=1), 1e-12))


def slices(count: int, most: int) -> Iterator[slice]:
    """Of a list of `count`, one part after the other, of at most `most` each."""
    return (slice(start, start + most) for start in range(0, count, most))
