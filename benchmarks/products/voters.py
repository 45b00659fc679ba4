"""Would more voters rank the hidden defects better? Each weighs what it earns, as in `places.evidence`.

    python -m benchmarks.products.voters --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill parts=demo:data/raw

100 training photos. The voters are those of `adrefine.places.voters`, alone and together; weights as there.

Nothing is chosen from a product's own answers. *Exact number*: what is gained if as many photos go as defects
are hidden, by that ranking (AUROC of places and pooled vectors together on the test photos). Writes
results/products_voters.csv and .md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from adrefine.io import write_csv, write_text
from adrefine.metrics.ranking import ranking_metrics
from adrefine.places.voters import DISCRIMINATOR, FAMILIES, OWN, PLACES, POOLED, earned, together
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import Case, of_product

LEVELS = (0.05, 0.1, 0.2, 0.3)
PAIR, ALL = (PLACES, POOLED), (PLACES, POOLED, FAMILIES, OWN, DISCRIMINATOR)
SETS = (
    (PLACES,),
    (POOLED,),
    PAIR,
    *((*PAIR, name) for name in ALL[2:]),
    *(tuple(name for name in ALL if name != left) for left in ALL[2:]),
    ALL,
)


def main() -> None:
    """Rank on every product, level and seed by every set of voters; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    rows = [
        row
        for given in args.product
        for one in of_product(given, [100], LEVELS, args.seeds)
        for row in judged(one)
    ]
    runs = pd.DataFrame(rows)
    write_csv(common.RESULTS / "products_voters.csv", runs)
    write_text(common.RESULTS / "products_voters.md", report(runs))


def judged(one: Case) -> Iterator[dict[str, object]]:
    """How each of SETS ranks the hidden defects of a training set."""
    before, oracle = one.without(np.array([], int)), one.without(np.flatnonzero(one.hidden))
    told = {voter.name: voter for voter in one.found.voters}
    for names in SETS:
        voters = [told[name] for name in names]
        scores = together(voters, earned(voters), [voter.photos for voter in voters])
        out = np.argsort(-scores, kind="stable")[: int(one.hidden.sum())]
        yield {
            "gain": one.without(out) - before,
            "gap": oracle - before,
            "product": one.product,
            "level": one.level,
            "seed": one.seed,
            "voters": " + ".join(names),
            "telling": voters[-1].telling,
            **ranking_metrics(one.hidden, scores),
        }


def report(runs: pd.DataFrame) -> str:
    """Means over the products, and each product at a tenth."""
    lines = ["`python -m benchmarks.products.voters`", "", *chosen(runs), ""]
    lines += ["Ranking of the hidden defects: AUROC / depth 90 %, mean of the products.", ""]
    lines += _table(runs, "level")
    lines += ["Share of the gap that the exact number closes (sum of gains over sum of gaps).", ""]
    closed = runs.groupby(["voters", "level"])[["gain", "gap"]].sum()
    shares = (closed["gain"] / closed["gap"]).map("{:.2f}".format).unstack("level")
    heads = ["voters", *(f"{level}" for level in shares.columns)]
    lines += markdown(heads, [[name, *row] for name, row in _ordered(shares)])
    lines += ["At a tenth hidden, by product. *Earns*: how well the last one tells twins from photos.", ""]
    tenth = runs[np.isclose(runs["level"], 0.1)]
    lines += _table(tenth, "product")
    earned = tenth.groupby(["voters", "product"], sort=False)["telling"].mean().unstack("product")
    heads = ["earns", *earned.columns]
    shown = earned.map("{:.2f}".format)
    last = {name.split(" + ")[-1]: row for name, row in _ordered(shown)}
    lines += markdown(heads, [[name, *last[name]] for name in ALL])
    return "\n".join(lines)


def chosen(runs: pd.DataFrame) -> list[str]:
    """By which voters the others rank best, for each product left out, and how they rank it."""
    means = runs.groupby(["product", "voters"])["auroc"].mean().unstack("product")
    lines = []
    for product in means.columns:
        best = str(means.drop(columns=product).mean(axis=1).idxmax())
        mine = runs[(runs["product"] == product) & (runs["voters"] == best)].groupby("level")["auroc"].mean()
        pair = runs[(runs["product"] == product) & (runs["voters"] == " + ".join(PAIR))]
        before = pair.groupby("level")["auroc"].mean()
        figures = ", ".join(f"{before[level]:.3f} to {mine[level]:.3f} at {level:g}" for level in mine.index)
        lines.append(f"- {product}: the others rank best by {best}. It ranks by {PAIR[0]} + {PAIR[1]} and by")
        lines.append(f"  these: {figures}.")
    return lines


def _table(runs: pd.DataFrame, by: str) -> list[str]:
    keys = ["voters", by]
    means = runs.groupby([*keys, *({"product", "level"} - {by})])[["auroc", "depth_90"]].mean()
    means = means.groupby(keys).mean()
    cells = means.apply(lambda row: f"{row['auroc']:.3f} / {row['depth_90']:.2f}", axis=1).unstack(by)
    return markdown(["voters", *(f"{name}" for name in cells.columns)], [[n, *r] for n, r in _ordered(cells)])


def _ordered(table: pd.DataFrame) -> list[tuple[str, list[object]]]:
    """Rows of `table` in the order of SETS."""
    rows = table.to_dict("index")
    return [(name, list(rows[name].values())) for name in (" + ".join(names) for names in SETS)]


if __name__ == "__main__":
    main()
