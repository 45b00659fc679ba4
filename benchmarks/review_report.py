"""Table and figure of `benchmarks.review`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from adrefine.report.style import BLUE, GREEN, GREY, INK, ORANGE, applied, png
from adrefine.text import markdown

PRICE = 0.02  # of the gap, that the drawn photos may cost
DRAWN = {"one in 3 drawn": 3, "one in 5 drawn": 5, "one by one": 10}
WEIGHED = "one by one, weighed"  # as padim does by default
SHOWN = {"one by one": BLUE, "by fives": GREEN, "at once": ORANGE, "detector alone": INK, "at random": GREY}


def closed(rows: pd.DataFrame, gain: str = "gain") -> float:
    """Share of the gap to the oracle that closes: sum of the gains over sum of the gaps."""
    return float(rows[gain].sum() / rows["gap"].clip(lower=0).sum())


def report(runs: pd.DataFrame) -> str:
    """Gap closed, then what the estimate is worth, then the choice of the mix."""
    dirty, levels = runs[runs["level"] > 0], sorted(set(runs["level"]) - {0.0})
    cells = [
        [
            *(policy, f"{answers:g}"),
            *(f"{closed(rows[rows['level'] == level]):.2f}" for level in levels),
            f"{rows['confirmed'].sum() / rows['hidden'].sum():.0%}",
            f"{rows['good_lost'].sum() / (rows['photos'].astype(int) - rows['hidden']).sum():.1%}",
        ]
        for (policy, answers), rows in dirty.groupby(["policy", "answers"], sort=False)
    ]
    heads = ["answers come", "answers", *(f"gap closed at {level:g}" for level in levels)]
    heads += ["of the hidden ones confirmed", "good photos lost"]
    parts = [told(runs), markdown(heads, cells), weighed(runs), estimates(runs), mixes(dirty)]
    parts.append(by_product(dirty, levels))
    return "\n".join(["`python -m benchmarks.review`", "", *(line for part in parts for line in [*part, ""])])


def told(runs: pd.DataFrame) -> list[str]:
    """What it comes to."""
    clean = runs[(runs["level"] == 0) & (runs["policy"] == "one by one")]
    worst = runs[runs["policy"] == "one by one"].groupby(["product", "level", "answers"])["gain"].mean().min()
    lost = clean.groupby("answers")["good_lost"].mean() / clean["photos"].astype(int).iloc[0]
    return [
        f"- {runs['product'].nunique()} products, {runs['seed'].nunique()} seeds, {runs['photos'].iloc[0]} "
        "training photos. Gap closed: sum of the gains in AUROC over sum of the gaps to the oracle.",
        "- A clean set loses "
        + ", ".join(f"{value:.1%} after {count:g}" for count, value in lost.items())
        + f" answers; on no product and level is the mean AUROC more than {-min(worst, 0):.3f} under that of "
        "all photos.",
    ]


def weighed(runs: pd.DataFrame) -> list[str]:
    """Gap closed where what is suspicious and not answered counts for less."""
    rows = runs[runs["weighed"].notna()]
    levels = sorted(set(runs["level"]) - {0.0})
    cells = []
    for (policy, answers), part in rows.groupby(["policy", "answers"], sort=False):
        means = part.groupby(["level", "product"])["weighed"].mean()
        gaps = (closed(part[part["level"] == level], "weighed") for level in levels)
        ends = (means.loc[0.0].mean(), means.loc[0.0].min(), means.drop(0.0).min())
        told = [f"{value:.2f}" for value in gaps] + [f"{value:+.4f}" for value in ends]
        cells.append([policy, f"{answers:g}", *told])
    heads = ["weighed, answers come", "answers", *(f"gap closed at {level:g}" for level in levels)]
    heads += ["clean: mean", "clean: worst", "with defects: worst"]
    return markdown(heads, cells)


def estimates(runs: pd.DataFrame) -> list[str]:
    """Coverage and width of the interval, error of both estimates; without an answer it is of the photos
    alone, in the sets where they tell."""
    ranked = runs[
        ((runs["answers"] > 0) | (runs["policy"] == "one by one")) & (runs["policy"] != "detector alone")
    ]
    cells = [
        [policy, f"{answers:g}", *_estimate(rows)]
        for (policy, answers), rows in ranked.groupby(["policy", "answers"], sort=False)
    ]
    heads = ["answers come", "answers", "told in", "interval (90 %) holds what hides", "least of a product"]
    heads += ["its width"]
    heads += ["expected less true", "by the drawn ones alone, less true"]
    return markdown(heads, cells)


def _estimate(rows: pd.DataFrame) -> list[str]:
    return [
        f"{rows['covered'].notna().mean():.0%}",
        f"{rows['covered'].mean():.0%}",
        f"{rows.groupby('product')['covered'].mean().min():.0%}",
        f"{(rows['high'] - rows['low']).mean():.1f}",
        _error(rows["expected"] - rows["left"]),
        _error(rows["unbiased"] - rows["hidden"]),
    ]


def _error(values: pd.Series) -> str:
    known = values.dropna()
    return f"{known.mean():+.1f} ± {known.std():.1f}" if len(known) else "–"


def mixes(dirty: pd.DataFrame) -> list[str]:
    """For each product, the most drawn photos that cost the others less than PRICE."""
    lines = []
    for name in dict.fromkeys(dirty["product"]):
        others = dirty[(dirty["product"] != name) & dirty["answers"].isin([20, 40])]
        base = closed(others[others["policy"] == "none drawn"])
        costs = {policy: base - closed(others[others["policy"] == policy]) for policy in DRAWN}
        chosen = next((DRAWN[policy] for policy, cost in costs.items() if cost < PRICE), 0)
        said = ", ".join(f"one in {DRAWN[policy]} {cost:+.3f}" for policy, cost in costs.items())
        picked = f"one in {chosen}" if chosen else "none"
        lines.append(f"- {name} left out: {said} of the gap; chosen {picked}.")
    return ["What drawn photos cost (20 and 40 answers):", "", *lines]


def by_product(dirty: pd.DataFrame, levels: list[float]) -> list[str]:
    """Gap closed by product, one answer after the other."""
    rows = dirty[(dirty["policy"] == "one by one") & dirty["answers"].isin([20, 40])]
    cells = [
        [name, f"{answers:g}", *(_closed_at(part, level) for level in levels)]
        for (name, answers), part in rows.groupby(["product", "answers"], sort=False)
    ]
    return markdown(["product", "answers", *(f"gap closed at {level:g}" for level in levels)], cells)


def _closed_at(rows: pd.DataFrame, level: float) -> str:
    there = rows[rows["level"] == level]
    return f"{closed(there):.2f} of {there['gap'].mean():.3f}" if len(there) else "–"


def draw(runs: pd.DataFrame) -> bytes:
    """Gap closed against answers, a panel a level; the default with thick lines."""
    levels = sorted(set(runs["level"]) - {0.0})
    with applied():
        figure = Figure(figsize=(1.0 + 2.6 * len(levels), 3.5), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(levels), sharey=True))
        for panel, level in zip(panels, levels, strict=True):
            there = runs[runs["level"] == level]
            weighed = _against(there[there["policy"] == "one by one"], "weighed")
            panel.plot(weighed.index, weighed, color=BLUE, lw=3, marker="o", markersize=5, label=WEIGHED)
            for policy, colour in SHOWN.items():
                means = _against(there[there["policy"] == policy])
                panel.plot(means.index, means, color=colour, lw=1.2, marker="o", markersize=3, label=policy)
            panel.set_title(f"{level:.0%} hidden")
            panel.set_xlabel("answers")
        panels[0].set_ylabel("gap to the oracle closed")
        figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=6)
        return png(figure)


def _against(rows: pd.DataFrame, gain: str = "gain") -> pd.Series:
    """Gap closed by number of answers."""
    return pd.Series({count: closed(part, gain) for count, part in rows.groupby("answers")})
