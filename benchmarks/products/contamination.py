"""What it costs to state another share in refine.contamination than the one that hides.

    python -m benchmarks.products.contamination --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill

100 training photos, no overlap. As many photos go as are stated, by the ranking of `consensus`; AUROC as in
`benchmarks.products.evidence`. Nothing is chosen here. Writes results/contamination.csv and .md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from adrefine.io import write_csv, write_text
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import Case, of_product

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)
STATED = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def main() -> None:
    """Run every product, level and seed; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    sets = (one for given in args.product for one in of_product(given, [args.photos], LEVELS, args.seeds))
    runs = pd.DataFrame(row for one in sets for row in measured(one))
    write_csv(common.RESULTS / "contamination.csv", runs)
    write_text(common.RESULTS / "contamination.md", report(runs))


def measured(one: Case) -> Iterator[dict[str, object]]:
    """A row for each stated share."""
    before, order, hidden = one.without(np.array([], int)), one.ordered(), one.hidden
    oracle = one.without(np.flatnonzero(hidden)) if hidden.any() else before
    for stated in STATED:
        out = order[: round(stated * len(order))]
        yield {
            "product": one.product, "photos": one.photos, "level": one.level, "seed": one.seed,
            "stated": stated, "gain": one.without(out) - before, "gap": oracle - before,
            "good_lost": float((~hidden[out]).sum() / (~hidden).sum()),
        }  # fmt: skip


def report(runs: pd.DataFrame) -> str:
    """Gap closed where something hides, AUROC lost where nothing does, by the stated share."""
    told = (
        f"{runs['product'].nunique()} products, {runs['seed'].nunique()} seeds, {runs['photos'].iloc[0]} "
        "training photos. Share of the gap to the oracle that closes: sum of the gains over sum of the gaps. "
        "Clean: gain in AUROC, mean and worst of the products."
    )
    heads = ["hides"] + [f"stated {stated:.0%}" for stated in STATED]
    cells = []
    for level, rows in runs.groupby("level"):
        parts = [rows[rows["stated"] == stated] for stated in STATED]
        clean = level == 0
        cells.append(
            [f"{float(str(level)):.0%}", *(_lost(part) if clean else _closed(part) for part in parts)]
        )
    table = markdown(heads, cells)
    return "\n".join(["`python -m benchmarks.products.contamination`", "", told, "", *table])


def _closed(rows: pd.DataFrame) -> str:
    return f"{rows['gain'].sum() / rows['gap'].clip(lower=0).sum():.2f}"


def _lost(rows: pd.DataFrame) -> str:
    means = rows.groupby("product")["gain"].mean()
    return f"{means.mean():+.3f}, {means.min():+.3f}"


if __name__ == "__main__":
    main()
