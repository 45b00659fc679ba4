"""The report of benchmarks/mixed.py: mean and deviation over the seeds, table by table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from adrefine.benchmark.summary import figure
from adrefine.benchmark.tables import cell
from adrefine.text import markdown

COMMAND = "python -m benchmarks.mixed --data ../data"
FIGURES = ("auroc", "ap", "mcc", "mcc, validation", "mcc, test", "fpr", "mcc, 5 %")
COUNTS = ("known", "recycled", "recycled_wrong")
TITLES = {  # heading, tables of the rows, what tells their groups apart
    "A": ("Fractions of the known defects", ["A", "A, flow"], ["model", "fraction"]),
    "C": ("Groups of at most 16 known defects", ["C"], ["group"]),
    "D": (
        "Kinds of synthetic defects and how many of each photo; 200 of the photos that train or are held out "
        "have some",
        ["D, kinds"],
        ["kinds", "per_image", "model", "known"],
    ),
    "D, weights": ("Weight of synthetic defects, a quarter of the known ones", ["D"], ["synthetic"]),
    "E": ("Weight of real defects", ["E"], ["inject", "fraction"]),
    "F": ("Hidden defects, consensus, what is removed teaches", ["F"], ["noise", "answers", "recycle"]),
}
BY_TYPE = {"padim": np.nan, "mixed": 0.0, "mixed, a quarter": 0.25, "mixed, all": 1.0}  # and their fraction


def report(runs: pd.DataFrame) -> str:
    """All tables: mean ± deviation over the seeds."""
    seeds = sorted(runs["seed"].unique())
    lines = [
        f"`{COMMAND}`", "",
        f"Mean ± standard deviation over the seeds {seeds[0]} to {seeds[-1]}. MCC and FPR at the threshold "
        "from held-out good photos (1 % asked), MCC also at the best F1 on held-out photos and their "
        "synthetic defects (validation), on the test itself, which looks at its labels (test), and the same "
        "on test sets thinned to 5 % defects.", "",
    ]  # fmt: skip
    for letter, (title, tables, keys) in TITLES.items():
        rows = runs[runs["table"].isin(tables)].dropna(axis=1, how="all")
        if rows.empty:
            continue
        lines += [f"## {letter}. {title}", "", *_table(rows, keys)]
        if letter == "A":
            lines += ["### Recall by type of defect, at the threshold from held-out good photos", ""]
            lines += markdown(["photos", "type", *BY_TYPE], by_type(rows))
    return "\n".join(lines)


def _table(rows: pd.DataFrame, keys: list[str]) -> list[str]:
    """A line for each group of rows that differ in the seed alone."""
    counts = [key for key in COUNTS if key in rows and key not in keys]
    order = {name: place for place, name in enumerate(rows["data"].unique())}
    rows = rows.sort_values("data", key=lambda names: names.map(order), kind="stable")
    cells = [
        [*map(_short, values),
         *(f"{group[key].mean():.0f}" for key in counts),
         *(cell(figure(group[key].to_numpy(dtype=float)), len(group)) for key in FIGURES)]
        for values, group in rows.groupby(["data", *keys], sort=False, dropna=False)
    ]  # fmt: skip
    return markdown(["photos", *keys, *counts, *FIGURES], cells)


def by_type(rows: pd.DataFrame) -> Iterator[list[str]]:
    """A line for each product and type of defect: mean recall of padim, and of mixed by fraction."""
    for product, own in rows.groupby("data", sort=False):
        for column in own.filter(like="recall, ").dropna(axis=1, how="all").columns:
            yield [
                str(product),
                str(column).removeprefix("recall, "),
                *(f"{_of(own, name, share)[column].mean():.2f}" for name, share in BY_TYPE.items()),
            ]


def _of(rows: pd.DataFrame, name: str, share: float) -> pd.DataFrame:
    """The rows of a model and fraction."""
    fits = rows["fraction"].isna() if np.isnan(share) else rows["fraction"] == share
    return rows[fits & (rows["model"] == name.partition(",")[0])]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)
