"""CPU seconds and peak memory of all evidence, of a fit of `padim` and of a round, against photos.

    python -m benchmarks.evidence_speed [--photos 100 300 1000 3000 10000]

Maps and vectors are random, of the sizes that `embed` leaves by default, on disk; 500 of the photos have
twins. A `round` of refinement removes one photo in a hundred and scores the rest. Beside it the exact update
alone, which takes these photos out of the sums and makes the Gaussians anew: `rounds_per_s` of it in a CPU
second, `cold_s` of a cold fit on the photos that stay, and `difference`, the largest relative one between
scores by the updated Gaussians and by the cold ones. Each number of photos is a process of its own. To
results/evidence_speed.csv and .png. It fails if CPU seconds grow faster than n^1.15, or if a difference is
over 1e-6.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from adrefine.detectors.base import Images
from adrefine.detectors.padim.detector import Padim
from adrefine.detectors.padim.settings import Settings
from adrefine.features.store import write_rows
from adrefine.io import write_csv
from adrefine.manifest import synthetic_id
from adrefine.paths import PLACES
from adrefine.places import evidence, voters
from adrefine.places.store import open_places
from adrefine.places.sums import Gaussians, photo_scores
from benchmarks.common import RESULTS

SHAPES: dict[str, tuple[int, ...]] = {"maps": (100, 96), "pooled": (608,)}
TWINS, STEEPEST, START = 500, 1.15, 0.5  # START: seconds that do not depend on the photos
ROUNDING, COMPARED = 1e-6, 300  # COMPARED: photos whose scores are compared


def main() -> None:
    """Measure every number of photos, write table and plot, judge the growth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, nargs="+", default=[100, 300, 1000, 3000, 10_000])
    sizes, rows = sorted(parser.parse_args().photos), []
    for count in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (count,)))
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    write_csv(RESULTS / "evidence_speed.csv", table)
    plot(table, RESULTS / "evidence_speed.png")
    if table["difference"].max() > ROUNDING:
        raise SystemExit(f"an updated model differs from a cold one by {table['difference'].max():.1g}")
    for (_, few), (_, many) in pairwise(table.iterrows()):
        for name in ("evidence", "fit", "round"):
            if many[name] > (few[name] + START) * (many["photos"] / few["photos"]) ** STEEPEST:
                raise SystemExit(f"{name} grows faster than n^{STEEPEST} up to {many['photos']:.0f} photos")


def measure(count: int) -> dict[str, float]:
    """CPU seconds of evidence, fit and round, the update beside a cold fit, and the process's peak memory in
    MB, for `count` photos."""
    ids = tuple(f"{number:06d}" for number in range(count))
    with tempfile.TemporaryDirectory() as name:
        names = sorted([*ids, *(synthetic_id(image_id) for image_id in ids[:TWINS])])
        write_rows(Path(name) / PLACES, names, _random(len(names)), SHAPES, {})
        images, model = Images(ids, Path(name)), Settings().create()
        left = Images(ids[count // 100 :], Path(name))
        record = {
            "photos": count,
            "evidence": _cpu(lambda: evidence.gather(open_places(Path(name) / PLACES), ids)),
            "fit": _cpu(lambda: model.fit(images)),
            **updated(model.clone(), left),
            "round": _cpu(lambda: (model.fit(left, warm_start=True), model.score(left))),
        }
    return record | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def updated(model: Padim, left: Images) -> dict[str, float]:
    """Rounds in a CPU second of an update of `model` to the photos that are `left`, CPU seconds of a cold fit
    to them, and the largest relative difference of their scores."""
    cold = Settings().create()

    def learn(which: Padim, warm_start: bool) -> list[Gaussians]:
        which.fit(left, warm_start=warm_start)
        return [which.model(name) for name in which.parts]

    update, from_scratch = _cpu(lambda: learn(model, True)), _cpu(lambda: learn(cold, False))
    store = open_places(left.prepared / PLACES)
    few = left.ids[:COMPARED]
    maps = {voters.PLACES: store.maps(few), voters.POOLED: store.pooled(few)[:, None]}

    def logs(which: Padim) -> np.ndarray:
        distances = (which.model(name).distances(seen) for name, seen in maps.items())
        return np.concatenate([photo_scores(one, which.settings.top) for one in distances])

    difference = float(np.abs(np.expm1(logs(model) - logs(cold))).max())
    return {"rounds_per_s": 1 / update, "cold_s": from_scratch, "difference": difference}


def plot(table: pd.DataFrame, path: Path) -> None:
    """CPU seconds against photos."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    for name in ("evidence", "fit", "round"):
        axes.plot(table["photos"], table[name], marker=".", label=name)
    axes.set(xscale="log", yscale="log", xlabel="photos", ylabel="CPU seconds")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _random(count: int) -> Iterator[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(0)
    return (tuple(rng.standard_normal(shape, np.float32) for shape in SHAPES.values()) for _ in range(count))


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
