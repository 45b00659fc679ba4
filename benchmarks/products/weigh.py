"""Weights instead of a cut, each product by the slope chosen without it.

    python -m benchmarks.products.weigh --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill

100 training photos, hidden share 0 to .3, no overlap; AUROC as in `benchmarks.products.evidence`. Chosen is
how much nearer the strength at which a photo weighs a half lies for each unit of the estimated share: the
one that closes most of the gap among those that cost no other product more than `HARM` AUROC beside
removing alone, at any level. Writes results/products_weigh.csv and .md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from adrefine.detectors.base import Images
from adrefine.io import write_csv, write_text
from adrefine.params import Refine
from adrefine.review import UNDECIDED
from adrefine.strategies import share, weighing
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import Case, of_product

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)
SLOPES = (0.0, 5.0, 7.5, 10.0)
HARM = 0.003  # AUROC
REMOVE = "remove"


def main() -> None:
    """Run every product, level and seed; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    sets = (one for given in args.product for one in of_product(given, [args.photos], LEVELS, args.seeds))
    rows = [row for one in sets for row in measured(one)]
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "products_weigh.csv", runs)
    write_text(common.RESULTS / "products_weigh.md", report(runs))


def measured(one: Case) -> Iterator[dict[str, object]]:
    """A row for removing and for each slope: gain in AUROC, good photos under a half."""
    n, hidden = len(one.hidden), one.hidden
    before = one.without(np.array([], int))
    gap = one.without(np.flatnonzero(hidden)) - before if hidden.any() else 0.0
    count = share.number(one.found, np.ones(n, bool), np.zeros(n, bool), None)
    out = np.isin(np.arange(n), one.ordered()[:count])
    by_name: dict[str, tuple[float, np.ndarray]] = {REMOVE: (one.without(np.flatnonzero(out)), out)}
    images = Images(one.found.ids, Path())
    taken = frozenset(np.array(one.found.ids)[out])
    settings = Refine(seed=one.seed)
    for slope in SLOPES:
        with patch.object(weighing, "PER_SHARE", slope):
            rounds = weighing.weigh(one.store, images, one.found, UNDECIDED, settings, taken)
        weights = rounds[-1]["weight"].to_numpy()
        by_name[f"{slope:g}"] = one.weighted(weights), weights < weighing.HALF
    for how, (auroc, under) in by_name.items():
        yield {
            "product": one.product, "photos": one.photos, "level": one.level, "seed": one.seed, "how": how,
            "gain": auroc - before, "gap": gap, "good_lost": float((under & ~hidden).sum() / (~hidden).sum()),
            "defects_under": float((under & hidden).sum() / max(hidden.sum(), 1)),
        }  # fmt: skip


def closed(rows: pd.DataFrame) -> float:
    """Sum of the gains over sum of the gaps, where something hides."""
    dirty = rows[rows["level"] > 0]
    return float(dirty["gain"].sum() / dirty["gap"].clip(lower=0).sum())


def chosen(runs: pd.DataFrame) -> str:
    """The slope that closes most among those that harm no product at any level; 0 if all do."""
    means = {how: rows.groupby(["product", "level"])["gain"].mean() for how, rows in runs.groupby("how")}
    best, most = f"{SLOPES[0]:g}", -np.inf
    for how in (f"{slope:g}" for slope in SLOPES):
        gained = closed(runs[runs["how"] == how])
        if (means[how] - means[REMOVE]).min() >= -HARM and gained > most:
            best, most = how, gained
    return best


def report(runs: pd.DataFrame) -> str:
    """What removing and weighing do to each product, by the slope chosen on the others."""
    parts = []
    lines = []
    for name in dict.fromkeys(runs["product"]):
        slope = chosen(runs[runs["product"] != name])
        lines.append(f"- {name}: by the others, {slope} robust deviations nearer a unit of the share.")
        mine = runs[(runs["product"] == name) & runs["how"].isin([REMOVE, slope])]
        parts.append(mine.assign(how=mine["how"].where(mine["how"] == REMOVE, "weigh")))
    left_out = pd.concat(parts)
    cells = [
        [how, *_row(rows)]
        for how, rows in [
            *left_out.groupby("how", sort=False),
            *runs[runs["how"] != REMOVE].groupby("how", sort=False),
        ]
    ]
    heads = ["how", *(f"gap closed at {level:g}" for level in LEVELS[1:]), "clean: mean", "clean: worst"]
    heads += ["with defects: worst", "clean: good photos out or under a half", "of the worst product"]
    told = (
        f"Gains in AUROC; means of a product and level over {runs['seed'].nunique()} seeds. `weigh`: by the "
        "slope chosen without the product."
    )
    table = markdown(heads, cells)
    return "\n".join(["`python -m benchmarks.products.weigh`", "", told, "", *lines, "", *table])


def _row(rows: pd.DataFrame) -> list[str]:
    means = rows.groupby(["level", "product"])[["gain", "good_lost"]].mean()
    clean, dirty = means.loc[0.0], means.drop(0.0)
    return [
        *(f"{closed(rows[rows['level'] == level]):.2f}" for level in LEVELS[1:]),
        *(f"{clean['gain'].mean():+.4f}", f"{clean['gain'].min():+.4f}", f"{dirty['gain'].min():+.4f}"),
        *(f"{clean['good_lost'].mean():.1%}", f"{clean['good_lost'].max():.1%}"),
    ]


if __name__ == "__main__":
    main()
