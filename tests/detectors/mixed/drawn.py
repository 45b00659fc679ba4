"""Places of photos, drawn: a real defect is a small step of the pooled vector, a twin is odd at one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adrefine.detectors.base import Detector, Images
from adrefine.features.store import write_rows
from adrefine.manifest import synthetic_id
from adrefine.metrics.detection import auroc
from adrefine.paths import PLACES

GOOD, REAL, SIDE, DIM, POOLED = 60, 40, 3, 4, 30


def write(folder: Path, second: bool = False) -> Images:
    """Good photos `g..` with twins, and real defects `r..` that the Gaussians hardly see: a small step of the
    pooled vector, always the same. Twins are odd at one place; a `second` twin has the step of real defects.
    """
    rng = np.random.default_rng(0)
    names = [f"g{n:02d}" for n in range(GOOD)] + [f"r{n:02d}" for n in range(REAL)]
    maps, pooled = rng.normal(size=(len(names), SIDE**2, DIM)), rng.normal(size=(len(names), POOLED))
    pooled[GOOD:, :3] += 1.5
    twin_maps, twin_pooled = maps[:GOOD].copy(), pooled[:GOOD] + rng.normal(0, 0.1, (GOOD, POOLED))
    twin_maps[:, 2] += 3
    rows = [*zip(maps, pooled, strict=True), *zip(twin_maps, twin_pooled, strict=True)]
    ids = [*names, *(synthetic_id(name) for name in names[:GOOD])]
    if second:
        stepped = pooled[:GOOD] + np.where(np.arange(POOLED) < 3, 1.5, 0)
        rows += zip(maps[:GOOD], stepped, strict=True)
        ids += [synthetic_id(name, 1) for name in names[:GOOD]]
    halves = [(a.astype(np.float16), b.astype(np.float16)) for a, b in rows]
    write_rows(folder / PLACES, ids, halves, {"maps": maps.shape[1:], "pooled": (POOLED,)}, {})
    return Images(tuple(names), folder)


def auroc_of(detector: Detector, everything: Images) -> float:
    """AUROC of 20 photos and 20 defects that nobody learned."""
    names = [f"g{n:02d}" for n in range(40, 60)] + [f"r{n:02d}" for n in range(20, 40)]
    return auroc(np.repeat([0, 1], 20), detector.score(Images(tuple(names), everything.prepared)).image)
