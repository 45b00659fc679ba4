"""From where on two photos are odd in the same way, so that a review asks one of two answers again.

    python -m benchmarks.places.alike --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill

100 training photos, a fifth of them hidden defects. Each good photo of the `SUSPICIOUS` strongest ones and
each hidden defect is compared with all other hidden defects (`reviewing.alike`): a good photo must never be
that like a defect, a defect with a twin should be. Writes results/alike.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from adrefine.io import write_text
from adrefine.reviewing.ranking import Ranking
from adrefine.reviewing.session import TWINS
from adrefine.runtime import progress
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import case, prepare

LEVEL = 0.2
SUSPICIOUS = 20
HEADS = ["product", "photos", "number", "median", "ninth decile", "most", f"over {TWINS:g}"]


def main() -> None:
    """Compare on every product; write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    rows = pd.DataFrame([row for given in args.product for row in of_product(given, args.seeds)])
    cells = [_cells(*keys, part["alike"]) for keys, part in rows.groupby(["product", "photos"], sort=False)]
    told = f"How like the most similar hidden defect; {len(args.seeds)} seeds of 100 photos, a fifth hidden."
    lines = ["`python -m benchmarks.places.alike`", "", told, "", *markdown(HEADS, cells), ""]
    write_text(common.RESULTS / "alike.md", "\n".join(lines))


def of_product(given: str, seeds: Sequence[int]) -> Iterator[dict[str, object]]:
    """A row for each photo that is compared."""
    name, _, where = given.partition("=")
    layout, _, root = where.partition(":")
    table, store = prepare(layout, root)
    for seed in progress.over(seeds, label=name, unit="set"):
        one = case(name, table, store, 100, LEVEL, seed)
        compare = Ranking(store, one.found.ids, seed=seed).alike
        hidden = np.flatnonzero(one.hidden)
        good = [place for place in one.ordered() if not one.hidden[place]][:SUSPICIOUS]
        for kind, places in (("good, suspicious", good), ("hidden", hidden)):
            for place in places:
                alike = compare(int(place), [int(other) for other in hidden if other != place])
                yield {"product": name, "photos": kind, "alike": float(alike.max())}


def _cells(product: str, kind: str, alike: pd.Series) -> list[str]:
    shown = (alike.median(), alike.quantile(0.9), alike.max())
    return [
        product,
        kind,
        str(len(alike)),
        *(f"{value:.2f}" for value in shown),
        str(int((alike > TWINS).sum())),
    ]


if __name__ == "__main__":
    main()
