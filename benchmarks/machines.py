"""What many photos take on many machines: calculated from what one machine measured. None of it was run.

    python -m benchmarks.machines [--price 0.05]

CPU seconds and bytes a photo are the differences between the two largest sets of results/scale.csv. `embed`,
`train` and `refine` share their work with the workers, a core each, and the other stages have the cores of
their machine. To results/machines.md.
"""

from __future__ import annotations

import argparse

import pandas as pd

from adrefine.features.shards import MOST
from adrefine.io import write_text
from adrefine.params import parse
from adrefine.places.extract import PlacesExtractor
from adrefine.places.out_of_fold import FOLDS
from adrefine.text import markdown
from benchmarks.common import RESULTS

PHOTOS, WORKERS, CORES = (10**6, 10**7), (2, 10, 100), 16  # cores: of the machine that runs the stages
SHARED = ("embed", "train", "refine")
NUMBER = 8  # bytes


def main() -> None:
    """Calculate, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--price", type=float, default=0.05, help="dollars for an hour of a core")
    price = parser.parse_args().price
    seconds, ingested = _a_photo(pd.read_csv(RESULTS / "scale.csv"))
    made = PlacesExtractor(parse({}).embed)
    (places, channels), whole = made.maps, made.pooled
    kept = 2 * (places * channels + whole)
    sums = FOLDS * NUMBER * (places * (1 + channels + channels**2) + 1 + whole + whole**2)
    shared, alone = seconds[list(SHARED)].sum(), seconds.drop(list(SHARED)).sum()
    rows = []
    for photos in PHOTOS:
        work, rest = photos * shared / 3600, photos * alone / 3600 / CORES
        row = [f"{photos:,}", f"{photos * ingested / 1e9:,.0f}", f"{photos * kept / 1e9:,.0f}"]
        row += [f"{photos / MOST * sums / 1e9:,.0f}", f"{rest:,.1f}"]
        row += [f"{work / workers:,.1f}" for workers in WORKERS]
        rows.append([*row, f"{price * (work + rest * CORES):,.0f}"])
    head = ["photos", "GB that workers read", "GB of places kept", "GB of sums that move"]
    head += [f"hours of the stages' machine, {CORES} cores"]
    head += [f"hours of {workers} workers" for workers in WORKERS]
    text = (
        f"`python -m benchmarks.machines`: calculated, not run. A photo: {1000 * shared:.0f} ms of a "
        f"worker's core, {1000 * alone:.0f} ms of the other stages, {ingested / 1000:.0f} kB at working "
        f"size, {kept / 1000:.1f} kB of places. Sums of a shard of {MOST:,}: {sums / 1e6:.0f} MB.\n\n"
        + "\n".join(markdown([*head, f"dollars, at {price} a core and hour"], rows))
        + "\n"
    )
    write_text(RESULTS / "machines.md", text)
    print(text)


def _a_photo(table: pd.DataFrame) -> tuple[pd.Series, float]:
    """CPU seconds a photo by stage, and bytes that ingest writes."""
    few, many = sorted(table["photos"].unique())[-2:]
    by_stage = [table[table["photos"] == count].set_index("stage") for count in (few, many)]
    differences = by_stage[1][["cpu_seconds", "megabytes"]] - by_stage[0][["cpu_seconds", "megabytes"]]
    each = differences / (many - few)
    return each["cpu_seconds"].clip(lower=0), 1e6 * float(each.loc["ingest", "megabytes"])


if __name__ == "__main__":
    main()
