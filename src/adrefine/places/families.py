"""Families of similar photos: defects that recur hide each other, unless all of their like are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from adrefine.places.out_of_fold import FOLDS, Array, Flags, folds_of
from adrefine.places.sharded import Numbers, Read
from adrefine.places.sums import slices
from adrefine.runtime.seeds import derived_seed

STARTS = 5  # of k-means: the closest families count
_ROWS = 1000  # vectors taken at once: bounds memory
_FLAT = 1e-9


def families_of(
    read: Read,
    ids: Sequence[str],
    good: Flags,
    seed: int,
    parts: Mapping[str, str] = MappingProxyType({}),
) -> Numbers:
    """Family (n,) of each photo, one of `FOLDS`: k-means of the pooled vectors, each number in units of its
    deviation. Of so few photos that there are no families, folds.

    Args:
        read: pooled vectors. good: (n,) photos that nobody called defective, which decide alone.
        parts: of photos whose part is known: its shots are in one family.
    """
    from scipy.cluster.vq import vq

    names = [parts.get(image_id, image_id) for image_id in ids]
    rows = sorted(set(names))  # the order of the photos decides nothing
    row_of = {name: row for row, name in enumerate(rows)}
    which = np.array([row_of[name] for name in names])
    counts = np.bincount(which[good], minlength=len(rows))
    vectors = _means(read, ids, which, good | (counts[which] == 0))
    learned = vectors[counts > 0]
    if len(learned) <= FOLDS:
        return folds_of(ids, seed, parts)
    middle, deviation = learned.mean(axis=0), learned.std(axis=0) + _FLAT
    centres = _closest((learned - middle) / deviation, seed)
    found: Numbers = vq((vectors - middle) / deviation, centres)[0].astype(np.int64)[which]
    return found


def _means(read: Read, ids: Sequence[str], which: Numbers, asked: Flags) -> Array:
    """Mean vector (parts, d) of the photos `asked` (n,) of each part; `which` (n,) is the photo's part."""
    counts = np.bincount(which[asked])
    sums = np.zeros((len(counts), read(ids[:1]).shape[-1]))
    places = np.flatnonzero(asked)
    for rows in slices(len(places), _ROWS):
        some = places[rows]
        np.add.at(sums, which[some], read([ids[place] for place in some])[:, 0].astype(np.float64))
    return np.asarray(sums / counts[:, None])


def _closest(vectors: Array, seed: int) -> Array:
    """Centres (FOLDS, d) of the k-means with the least squared distances."""
    from scipy.cluster.vq import kmeans2, vq

    found = []
    for start in range(STARTS):
        draw = np.random.default_rng(derived_seed("families", seed, start))
        centres = kmeans2(vectors, FOLDS, iter=50, minit="++", seed=draw)[0]
        found.append((float((vq(vectors, centres)[1] ** 2).sum()), start, centres))
    return np.asarray(min(found)[2])
