"""What was to be reached, what is, and by how much it falls short: tables of docs/results.md.

    python -m benchmarks.products.aims

Reads results/products.csv, products_differnet.csv, pointing.csv, products_weigh.csv, contamination.csv,
review.csv and products_all.csv, writes results/aims.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from adrefine.io import write_text
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.products.table import DEFAULT, STRATEGIES
from benchmarks.review_report import closed

POINTED = "320 px, 10 × 10"  # the maps that report and review show
ABOUT_200 = (180, 230)  # training photos
HEADS = ["aim", "asked", "reached", "missed by"]


class Aim(NamedTuple):
    """A figure that is to be `asked` or more; with `below`, or less."""

    what: str
    asked: float
    reached: float
    below: bool = False
    percent: bool = False

    @property
    def cells(self) -> list[str]:
        """As a row of the table."""
        short = self.reached - self.asked if self.below else self.asked - self.reached
        missed = "–" if round(short, 4) <= 0 else self._text(short)
        return [self.what, self._text(self.asked), self._text(self.reached), missed]

    def _text(self, value: float) -> str:
        if self.percent:
            return f"{value:.1%}".replace("%", " %")
        text = f"{value:.4f}" if 0 < abs(value) < 0.01 else f"{value:.3f}".removesuffix("0")
        return text.replace("-", "−")


def main() -> None:
    """Write the table."""
    write_text(RESULTS / "aims.md", report(*tables()))


def tables() -> tuple[pd.DataFrame, ...]:
    """The rows that the other benchmarks wrote."""
    names = "products products_differnet pointing products_weigh contamination review products_all"
    return tuple(pd.read_csv(RESULTS / f"{name}.csv") for name in names.split())


def report(
    products: pd.DataFrame,
    flow: pd.DataFrame,
    pointing: pd.DataFrame,
    weighed: pd.DataFrame,
    stated: pd.DataFrame,
    review: pd.DataFrame,
    every: pd.DataFrame,
) -> str:
    """A row an aim: of detection, then of cleaning."""
    cleaning = [*harm(products), *gain(products, weighed, stated), *answers(review), *cost(products, every)]
    lines = ["`python -m benchmarks.products.aims`", ""]
    for aims in (detection(products, flow, pointing), cleaning):
        lines += markdown(HEADS, [aim.cells for aim in aims])
    lines += markdown(*beside(products, flow))
    return "\n".join(lines)


def detection(products: pd.DataFrame, flow: pd.DataFrame, pointing: pd.DataFrame) -> Iterator[Aim]:
    """How `padim` compares with DifferNet `fast` on the same sets, ranks and points."""
    both = paired(products, flow).groupby(["dataset", "noise"]).mean()
    over = (both["padim"] - both["flow"]).unstack("noise")
    for level, asked in ((0.0, 0.03), (0.1, 0.05), (0.3, 0.05)):
        name = f"{100 * level:g} % hidden" if level else "clean"
        yield Aim(f"AUROC over DifferNet, {name}, mean of {over[level].count()}", asked, over[level].mean())
    yield Aim("AUROC over DifferNet, screws, clean", 0.0, over.loc["screws", 0.0])
    ranked = products[(products["strategy"] == DEFAULT) & (products["noise"] == 0.1)]
    means = ranked.groupby("dataset")[["rank_auroc", "rank_depth_90"]].mean().mean()
    yield Aim("ranking of the hidden defects at 10 %: AUROC", 0.88, means["rank_auroc"])
    yield Aim("share of the list to read for 90 % of them, at 10 %", 0.35, means["rank_depth_90"], below=True)
    points = pointing.loc[pointing["map"] == POINTED, "points"].mean()
    yield Aim("brightest pixel within 8 pixels of the defect", 0.75, points, percent=True)


def paired(products: pd.DataFrame, flow: pd.DataFrame) -> pd.DataFrame:
    """AUROC of `padim`, of the flow, and of the flow without the hidden defects, of every dataset, noise and
    seed that both learned."""
    sets = ["dataset", "noise", "seed"]
    plain = products[products["strategy"] == "vanilla"].set_index(sets)["auroc"]
    flows = flow.pivot_table("auroc", sets, "strategy")
    columns = {"padim": plain, "flow": flows["vanilla"], "ceiling": flows["oracle"]}
    return pd.concat(columns, axis=1, join="inner").dropna()


def beside(products: pd.DataFrame, flow: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and a row a product: `padim`, the flow, and the flow's ceiling, by the share that hides."""
    means = paired(products, flow).groupby(["dataset", "noise"]).mean()
    levels = sorted({level for _, level in means.index})
    names = list(dict.fromkeys(flow["dataset"]))
    heads = ["product", *(f"{100 * level:g} % hidden" if level else "clean" for level in levels)]
    rows = [[name, *(_three(means, (name, level)) for level in levels)] for name in names]
    every = means.groupby("noise").mean()
    return heads, [*rows, ["mean", *(_three(every, level) for level in levels)]]


def _three(means: pd.DataFrame, key: object) -> str:
    if key not in means.index:
        return "–"
    return " / ".join(f"{value:.3f}".removeprefix("0") for value in means.loc[key])


def harm(products: pd.DataFrame) -> Iterator[Aim]:
    """What it costs: of a clean set, and anywhere."""
    means = products.groupby(["noise", "strategy", "dataset"])[["auroc", "removed_good", "n_train"]].mean()
    clean = means.loc[(0, DEFAULT)]
    lost = float((clean["removed_good"] / clean["n_train"]).max())
    yield Aim("clean: good photos that go, most of a product", 0.03, lost, below=True, percent=True)
    change = means["auroc"].unstack("strategy")
    change = change[DEFAULT] - change["vanilla"]
    yield Aim("clean: AUROC, worst product", -0.003, float(change.loc[0].min()))
    yield Aim(
        "with defects: AUROC over `vanilla`, worst product and level", -0.003, float(change.drop(0).min())
    )


def gain(products: pd.DataFrame, weighed: pd.DataFrame, stated: pd.DataFrame) -> Iterator[Aim]:
    """How it compares with the exact number by the same ranking, and with other rules."""
    default, ratios = weighed[weighed["how"] == "10"], []
    for level in sorted(set(stated["level"]) - {0.0}):
        exact = stated[(stated["level"] == level) & (stated["stated"] == level)]
        ratios.append(closed(default[default["level"] == level]) / closed(exact))
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    mean = sum(ratios) / len(ratios)
    yield Aim(f"of what the exact number closes, at 5, 10, 20, 30 %: {each}; mean", 0.6, mean)
    auroc = (
        products.groupby(["noise", "strategy", "dataset"])["auroc"]
        .mean()
        .groupby(["noise", "strategy"])
        .mean()
    )
    auroc = auroc.unstack("strategy").drop(0)
    shares = auroc.sub(auroc["vanilla"], axis=0).div(auroc["oracle"] - auroc["vanilla"], axis=0)
    behind = shares[[name for name in STRATEGIES if name != DEFAULT]].max(axis=1) - shares[DEFAULT]
    yield Aim(
        f"behind the best of `mad` and `osr` out of fold, most, at {behind.idxmax():.0%}".replace("%", " %"),
        0.1,
        float(behind.max()),
        below=True,
    )


def answers(review: pd.DataFrame) -> Iterator[Aim]:
    """What answers close, and how often the interval holds."""
    rows = review[review["policy"] == "one by one"]
    for count, level, asked in ((20, 0.05, 0.85), (20, 0.1, 0.85), (40, 0.2, 0.85), (40, 0.3, 0.7)):
        part = rows[(rows["answers"] == count) & (rows["level"] == level)]
        yield Aim(f"{count} answers, {100 * level:g} % hidden: gap closed", asked, closed(part, "weighed"))
    for count in (10, 20, 40):
        held = float(rows.loc[rows["answers"] == count, "covered"].mean())
        yield Aim(f"interval after {count} answers holds (90 ± 5 %): at least", 0.85, held, percent=True)
        yield Aim(f"interval after {count} answers holds: at most", 0.95, held, below=True, percent=True)


def cost(products: pd.DataFrame, every: pd.DataFrame) -> Iterator[Aim]:
    """Seconds of a refinement of embedded photos: against a training, and of about 200 photos."""
    seconds = products.groupby("strategy")["seconds"].median()
    trainings = float(seconds[DEFAULT] / seconds["vanilla"])
    name = f"trainings that a run costs (`padim`: {seconds[DEFAULT]:.1f} s in all)"
    yield Aim(name, 2.0, trainings, below=True)
    of_200 = every[(every["strategy"] == DEFAULT) & every["n_train"].between(*ABOUT_200)]
    longest = of_200.groupby("dataset")["seconds"].median().max()
    low, high = (round(of_200["n_train"].agg(end)) for end in ("min", "max"))
    yield Aim(f"seconds of a run on {low} to {high} photos, the slowest product", 10.0, longest, below=True)


if __name__ == "__main__":
    main()
