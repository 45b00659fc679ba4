"""Exact AU-PRO beside the straightforward one, which goes through thresholds, on the same made-up maps.

    python -m benchmarks.au_pro [--images 100] [--side 512] [--thresholds 200]

The straightforward one numbers the regions once, then compares every map with every threshold, evenly spaced
over all scores, and reads the overlap of each region off. Peak memory is what either allocates over the maps.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from adrefine.io import write_json
from adrefine.metrics.localization import aupro

RESULT = Path(__file__).parent / "results" / "au_pro.json"
LIMIT = 0.3  # false-positive rate


def made_up(images: int, side: int) -> tuple[list[NDArray], list[NDArray]]:
    """Smooth noise; every second image has three bright regions, 1 to 14 % of the side long and wide."""
    maps, masks = [], []
    for number in range(images):
        rng = np.random.default_rng(number)
        values = gaussian_filter(rng.standard_normal((side, side), dtype=np.float32), side / 128)
        mask = np.zeros((side, side), dtype=bool)
        for _ in range(3 if number % 2 == 0 else 0):
            top, left = rng.integers(0, side - side // 7, 2)
            height, width = rng.integers(side // 100 + 1, side // 7, 2)
            mask[top : top + height, left : left + width] = True
        maps.append(values / values.std() + mask)
        masks.append(mask)
    return maps, masks


def by_thresholds(maps: list[NDArray], masks: list[NDArray], count: int) -> float:
    """AU-PRO read off at `count` thresholds."""
    regions = [label(mask, structure=np.ones((3, 3))) for mask in masks]
    areas = [np.bincount(region.ravel(), minlength=n + 1) for region, n in regions]
    good = sum(area[0] for area in areas)
    highest, lowest = max(map(np.max, maps)), min(map(np.min, maps))
    rates, overlaps = [0.0], [0.0]
    for threshold in np.linspace(highest, lowest, count):
        wrong, shares = 0, []
        for values, (region, n), area in zip(maps, regions, areas, strict=True):
            over = np.bincount(region[values >= threshold], minlength=n + 1)
            wrong += over[0]
            shares += (over[1:] / area[1:]).tolist()
        rates.append(wrong / good)
        overlaps.append(float(np.mean(shares)))
    inside = [*(rate for rate in rates if rate < LIMIT), LIMIT]
    return float(np.trapezoid(np.interp(inside, rates, overlaps), inside) / LIMIT)


def measured(function: Callable[[], float], repeats: int) -> dict[str, float]:
    """Value, CPU seconds of the fastest of `repeats` calls (both use one core), and MB of one more call."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        value = function()
        seconds.append(time.process_time() - start)
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return {"aupro": round(value, 6), "seconds": round(min(seconds), 2), "peak_memory_mb": round(peak, 1)}


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--thresholds", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    maps, masks = made_up(args.images, args.side)
    exact = measured(lambda: aupro(maps, masks, LIMIT), args.repeats)
    slow = measured(lambda: by_thresholds(maps, masks, args.thresholds), args.repeats)
    record: dict[str, object] = vars(args) | {"exact": exact, "by_thresholds": slow}
    record["times_as_fast"] = round(slow["seconds"] / exact["seconds"], 1)
    write_json(RESULT, record)
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
