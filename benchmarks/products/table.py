"""What the runs of benchmarks/products.yaml come to: the two tables at the head of docs/results.md.

    python -m benchmarks.products.table

Reads results/products.csv, writes results/products_table.md. Gap closed: mean gain over mean gap of the
products, each the mean of its seeds.
"""

from __future__ import annotations

import pandas as pd

from adrefine.io import write_text
from adrefine.text import markdown
from benchmarks.common import RESULTS

DEFAULT = "consensus"
STRATEGIES = {DEFAULT: "`consensus`, the default", "mad out of fold": "`mad` out of fold",
              "osr out of fold": "`osr` out of fold"}  # fmt: skip
SHOWN = (0.1, 0.2)


def main() -> None:
    """Write the tables."""
    write_text(RESULTS / "products_table.md", report(pd.read_csv(RESULTS / "products.csv")))


def report(runs: pd.DataFrame) -> str:
    """Both tables, and what the default's ranking is worth."""
    means = runs.groupby(["noise", "strategy", "dataset"])[["auroc", "removed_good", "n_train"]].mean()
    products = list(dict.fromkeys(runs["dataset"]))
    parts = [by_product(means, products), by_strategy(means), ranking(runs)]
    return "\n".join(
        ["`python -m benchmarks.products.table`", "", *(line for part in parts for line in part)]
    )


def by_product(means: pd.DataFrame, products: list[str]) -> list[str]:
    """AUROC by product, and the mean of all; at SHOWN before / after the default / ceiling."""
    cells = [[name, *_cells(means.xs(name, level="dataset"))] for name in products]
    cells.append(["mean", *_cells(means.groupby(["noise", "strategy"]).mean())])
    heads = ["product", "clean", f"clean, after `{DEFAULT}`", "photos of 100 that a clean set loses"]
    return markdown([*heads, *(f"{100 * level:g} % hidden" for level in SHOWN)], cells)


def _cells(means: pd.DataFrame) -> list[str]:
    lost = 100 * means.loc[(0, DEFAULT), "removed_good"] / means.loc[(0, DEFAULT), "n_train"]
    clean = [_short(means.loc[(0, strategy), "auroc"]) for strategy in ("vanilla", DEFAULT)]
    rows = ("vanilla", DEFAULT, "oracle")
    shown = [" / ".join(_short(means.loc[(level, row), "auroc"]) for row in rows) for level in SHOWN]
    return [*clean, f"{lost:.1f}", *shown]


def by_strategy(means: pd.DataFrame) -> list[str]:
    """Share of the gap that closes; what a clean set loses of its photos and of its AUROC."""
    auroc, levels = means["auroc"].unstack("dataset"), [level for level in _levels(means) if level]
    lost = 100 * means["removed_good"] / means["n_train"]
    cells = []
    for strategy, name in STRATEGIES.items():
        closed = []
        for level in levels:
            before, after, ceiling = (
                auroc.loc[(level, row)].mean() for row in ("vanilla", strategy, "oracle")
            )
            closed.append(_short((after - before) / (ceiling - before), 2))
        out, change = lost.loc[0, strategy], auroc.loc[(0, strategy)] - auroc.loc[(0, "vanilla")]
        worst = f"−{_short(-change.min())}"
        cells.append([name, *closed, f"{out.mean():.1f} %, {out.max():.1f} %", worst])
    heads = ["strategy", *(f"{100 * level:g} %" for level in levels)]
    heads += ["clean photos lost: mean, most", "clean AUROC, worst product"]
    return markdown(heads, cells)


def ranking(runs: pd.DataFrame) -> list[str]:
    """How the default ranks the hidden defects, mean of the products."""
    rows = runs[(runs["strategy"] == DEFAULT) & (runs["noise"] > 0)]
    means = rows.groupby(["noise", "dataset"])[["rank_auroc", "rank_depth_90"]].mean().groupby("noise").mean()
    cells = [
        [f"{100 * level:g} %", _short(row["rank_auroc"], 2), f"{100 * row['rank_depth_90']:.0f} %"]
        for level, row in means.iterrows()
    ]
    return markdown(["hidden", "rank AUROC", "of the ranked list to read until 90 % were seen"], cells)


def _levels(means: pd.DataFrame) -> list[float]:
    return sorted(set(means.index.get_level_values("noise")))


def _short(value: float, digits: int = 3) -> str:
    """`.946`."""
    return f"{value:.{digits}f}".removeprefix("0")


if __name__ == "__main__":
    main()
