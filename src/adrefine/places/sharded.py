"""Sums and distances of photos shard by shard: memory holds one shard, and workers can have one each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from adrefine.places.sums import Array, Gaussians, Sums
from adrefine.runtime import cluster

Numbers = npt.NDArray[np.int64]


class Store(Protocol):
    """Maps (n, places, channels) and pooled vectors (n, dim) of images, as `embed` keeps them."""

    def maps(self, ids: Iterable[str]) -> np.ndarray: ...

    def pooled(self, ids: Iterable[str]) -> np.ndarray: ...

    def has(self, ids: Iterable[str]) -> bool: ...

    def kinds(self, ids: Iterable[str]) -> list[str]:
        """Kind of the synthetic defect of each image; "" of a photo."""
        raise NotImplementedError

    def split(self, ids: Sequence[str]) -> list[Numbers]:
        """Places of `ids` in each shard that has some; one shard is the simplest store."""
        return [np.arange(len(ids))]


class _Job(NamedTuple):
    """Photos of one shard, and the number of the group or model of each."""

    ids: list[str]
    which: Numbers
    weights: Array


@dataclass(frozen=True)
class Read:
    """Maps (n, places, channels) in a store; with `whole` its pooled vectors, as maps of one place."""

    store: Store
    whole: bool = False

    def __call__(self, ids: Iterable[str]) -> np.ndarray:
        return self.store.pooled(ids)[:, None] if self.whole else self.store.maps(ids)

    def sums(self, ids: Sequence[str], weights: npt.ArrayLike, groups: Numbers, count: int = 1) -> list[Sums]:
        """Sums of the photos of each of `count` groups, by their weights (n,).

        They are added in a tree that the shards alone decide: who computes them changes no bit.

        Args:
            groups: (n,) number of each photo's group; -1: of none.
        """
        each = np.asarray(weights, dtype=np.float64)
        jobs = [job for _, job in self._jobs(ids, groups, each)]
        return cluster.tree(_sums, _added, jobs, "sums", (self, count))

    def distances(self, models: Sequence[Gaussians], ids: Sequence[str], which: Numbers) -> Array:
        """Squared distances (n, p) of the photos, each by the model `which` (n,)."""
        found = np.empty((len(ids), len(models[0].mean)))
        jobs = self._jobs(ids, which, np.ones(len(ids))) if ids else []
        for number, part in cluster.each(_distances, [job for _, job in jobs], "distances", (self, models)):
            found[jobs[number][0]] = cluster.there(part, "distances")
        return found

    def _jobs(self, ids: Sequence[str], which: Numbers, weights: Array) -> list[tuple[Numbers, _Job]]:
        shards = self.store.split(ids)
        return [(own, _Job([ids[place] for place in own], which[own], weights[own])) for own in shards]


def _sums(shared: tuple[Read, int], job: _Job) -> list[Sums]:
    read, count = shared
    groups = [np.flatnonzero(job.which == group) for group in range(count)]
    return [Sums.of(read([job.ids[place] for place in own]), job.weights[own]) for own in groups]


def _added(left: list[Sums], right: list[Sums]) -> list[Sums]:
    return [one + other for one, other in zip(left, right, strict=True)]


def _distances(shared: tuple[Read, Sequence[Gaussians]], job: _Job) -> Array:
    read, models = shared
    found = np.empty((len(job.ids), len(models[0].mean)))
    for number in np.unique(job.which):
        own = np.flatnonzero(job.which == number)
        found[own] = models[number].distances(read([job.ids[place] for place in own]))
    return found
