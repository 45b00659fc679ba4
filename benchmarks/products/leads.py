"""Two leads beside the rule of `consensus`, each product by constants chosen without it.

    python -m benchmarks.products.leads --product tiles=mtd:../mtd commutators=mvtec:../ksdd \\
        screws=folder:../screw bottles=folder:../bottle pills=folder:../pill

100 training photos, hidden share 0 to .3, no overlap; AUROC as in `benchmarks.products.evidence`. No lead
sees a label of the product that it is judged on.

- `calibrator`: a ridge regression from label-free `statistics` to the hidden share, fitted on the other
  products. So many of the strongest photos go, less a part (`CAREFUL`) of how far over the true share the
  estimates on the other products were, each left out in turn.
- `twins`: photos go as long as the odds that the next one is defective exceed what a good one costs: how much
  worse the models tell photos from their twins when calm photos are lost (`cost_of_photos`), times a factor
  chosen on the other products. The odds follow from the estimated share.

Chosen on the others is what closes most of the gap there among those that cost no clean set more than
`evidence.LOST` of its photos or `evidence.WORSE` AUROC; failing that, the least harmful. Writes
results/leads.csv and leads.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from adrefine.io import write_csv, write_text
from adrefine.places import evidence as places
from adrefine.reviewing.belief import USUAL
from adrefine.runtime import progress
from adrefine.strategies import share
from adrefine.text import markdown
from benchmarks import common
from benchmarks.products.cases import Case, of_product
from benchmarks.products.evidence import LEVELS, LOST, WORSE, fitted

CAREFUL = (0.0, 0.5, 1.0)  # of the errors' 90th percentile, taken off the calibrator's share
FACTORS = (
    0.0,
    10.0,
    30.0,
    100.0,
    300.0,
    1000.0,
    3000.0,
)  # odds that a unit of the twins' AUROC a photo is worth
RIDGE = 1.0  # of standardized statistics
SPARED = 10  # calm photos that are lost to see what that costs
Array = np.ndarray


@dataclass(frozen=True)
class Told:
    """What one training set tells without labels, and the set itself to measure with."""

    one: Case
    statistics: Array
    cost: float


def main() -> None:
    """Gather every set, choose with each product left out, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--product", nargs="+", required=True, metavar="NAME=LAYOUT:FOLDER")
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    cases = [one for given in args.product for one in of_product(given, [args.photos], LEVELS, args.seeds)]
    told = [
        Told(one, statistics(one), cost_of_photos(one))
        for one in progress.over(cases, label="statistics", unit="set")
    ]
    runs = pd.DataFrame(
        [row for name in dict.fromkeys(o.product for o in cases) for row in judged(told, name)]
    )
    write_csv(common.RESULTS / "leads.csv", runs)
    write_text(common.RESULTS / "leads.md", report(runs))


def statistics(one: Case) -> Array:
    """Scale-free statistics of a training set: spread, width, what the voters earn, the upper tail."""
    found = one.found
    tail = np.quantile(found.strength, [0.75, 0.8, 0.85, 0.9, 0.95, 0.99])
    over = [(found.strength > limit).mean() for limit in (2.0, 3.0, 5.0)]
    both = np.corrcoef(found.voters[0].photos, found.voters[1].photos)[0, 1]
    return np.array(
        [found.spread, found.width, *(v.telling for v in found.voters), both, *np.log1p(tail), *over]
    )


def cost_of_photos(one: Case) -> float:
    """By how much the models tell photos from twins worse, a photo, when random calm ones are lost."""
    found = one.found
    calm = np.flatnonzero(found.strength <= np.median(found.strength))
    lost = np.random.default_rng(one.seed).choice(calm, SPARED, replace=False)
    less = places.gather(one.store, found.ids, seed=one.seed, known=frozenset(found.ids[p] for p in lost))
    stay = ~np.isin(np.arange(len(found.ids)), lost)
    before, after = (
        sum(
            w * _telling(v, stay) for w, v in zip(found.weights, e.voters, strict=True) if v.twins is not None
        )
        for e in (found, less)
    )
    return max(float(before - after), 0.0) / SPARED


def _telling(voter: places.Voter, stay: Array) -> float:
    """Chance that a random twin scores over a random photo, of the photos that `stay`."""
    assert voter.twins is not None
    ordered, twins = np.sort(voter.photos[stay]), voter.twins[stay & ~np.isnan(voter.twins)]
    return float(np.mean(np.searchsorted(ordered, twins)) / len(ordered))


def judged(told: Sequence[Told], name: str) -> list[dict[str, Any]]:
    """Rows of the product `name`: floor, exact number, and each lead by what is best on the others."""
    others, mine = ([t for t in told if (t.one.product == name) == own] for own in (False, True))
    with patch.multiple(share, **fitted([t.one for t in others])):
        return _judged(others, mine)


def _judged(others: Sequence[Told], mine: Sequence[Told]) -> list[dict[str, Any]]:
    rules: dict[str, Any] = {"floor": floor, "exact number": lambda t: int(t.one.hidden.sum())}
    calibrators = {f"{careful:g}": calibrator(others, careful) for careful in CAREFUL}
    # A calibrator is judged on the others by one that has not seen the product at hand either.
    honest = {
        f"{careful:g}": {
            left: calibrator([t for t in others if t.one.product != left], careful)
            for left in dict.fromkeys(t.one.product for t in others)
        }
        for careful in CAREFUL
    }
    best = chosen(others, {key: lambda t, f=by: f[t.one.product](t) for key, by in honest.items()})
    rules["calibrator"] = calibrators[best]
    factor = chosen(others, {f"{value:g}": partial(by_twins, factor=value) for value in FACTORS})
    rules["twins"] = partial(by_twins, factor=float(factor))
    picked = {"calibrator": best, "twins": factor}
    return [
        row(t, how, rule(t)) | {"chosen": picked.get(how, "")} for t in mine for how, rule in rules.items()
    ]


def floor(told: Told) -> int:
    """Photos that go by the rule of `consensus`."""
    n = len(told.one.hidden)
    return share.number(told.one.found, np.ones(n, bool), np.zeros(n, bool), None)


def calibrator(others: Sequence[Told], careful: float) -> Any:
    """The rule that a ridge regression on `others` makes."""
    names = np.array([t.one.product for t in others])
    x, y = np.array([t.statistics for t in others]), np.array([t.one.hidden.mean() for t in others])
    errors = np.concatenate(
        [
            _ridge(x[names != name], y[names != name])(x[names == name]) - y[names == name]
            for name in set(names)
        ]
    )
    off, predict = careful * max(float(np.quantile(errors, 0.9)), 0.0), _ridge(x, y)

    def rule(told: Told) -> int:
        part = float(np.clip(predict(told.statistics[None])[0] - off, 0, share.MOST))
        return round(part * len(told.one.hidden))

    return rule


def _ridge(x: Array, y: Array) -> Any:
    middle, unit = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = (x - middle) / unit
    slopes = np.linalg.solve(z.T @ z + RIDGE * len(x) / 10 * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return lambda new: y.mean() + ((new - middle) / unit) @ slopes


def by_twins(told: Told, factor: float) -> int:
    """Photos whose odds to be defective exceed what a good one costs; as the floor where no share is told."""
    found = told.one.found
    estimated = share.estimate_share(found)
    if estimated is None:
        return floor(told)
    strength = np.sort(found.strength)[::-1]
    middles = np.linspace(-2, 15, 200)
    curves = 1 / (1 + np.exp(-np.clip(USUAL * (strength - middles[:, None]), -60, 60)))
    chance = curves[np.argmin(np.abs(curves.mean(axis=1) - estimated.estimate))]
    return int((chance / (1 - chance + 1e-12) > factor * told.cost).sum()) if factor else floor(told)


def chosen(others: Sequence[Told], rules: dict[str, Any]) -> str:
    """Name of the rule that closes most of the gap on the others among those that harm none."""
    best, most = next(iter(rules)), -np.inf
    for name, rule in rules.items():
        rows = pd.DataFrame([row(t, name, rule(t)) for t in others])
        clean = rows[rows["level"] == 0].groupby("product")[["lost", "gain"]].mean()
        harm = max(clean["lost"].max() - LOST, 0) + max(WORSE - clean["gain"].min(), 0)
        value = closed(rows[rows["level"] > 0]) - 1000 * harm
        if value > most:
            best, most = name, value
    return best


def row(told: Told, how: str, count: int) -> dict[str, Any]:
    """What it does to a training set that its `count` strongest photos go."""
    one = told.one
    out = one.ordered()[:count]
    before = one.without(np.array([], int))
    oracle = one.without(np.flatnonzero(one.hidden)) if one.hidden.any() else before
    return {
        "product": one.product, "level": one.level, "seed": one.seed, "how": how, "removed": count,
        "lost": float((~one.hidden[out]).sum() / len(one.hidden)), "gain": one.without(out) - before,
        "gap": oracle - before, "cost": told.cost, "covered": _covered(one),
    }  # fmt: skip


def _covered(one: Case) -> float:
    """Whether the interval of the share holds the true one; NaN where it is not told."""
    estimated, true = share.estimate_share(one.found), one.hidden.mean()
    return float("nan") if estimated is None else float(estimated.low - 1e-9 <= true <= estimated.high + 1e-9)


def closed(rows: pd.DataFrame) -> float:
    """Sum of the gains over sum of the gaps."""
    return float(rows["gain"].sum() / rows["gap"].clip(lower=0).sum())


def report(runs: pd.DataFrame) -> str:
    """Gap closed by level, and what a clean set loses."""
    cells = []
    for how, rows in runs.groupby("how", sort=False):
        clean = rows[rows["level"] == 0].groupby("product")[["lost", "gain"]].mean()
        dirty = rows[rows["level"] > 0]
        worst = dirty.groupby(["product", "level"])["gain"].mean().min()
        shares = [f"{closed(dirty[dirty['level'] == level]):.2f}" for level in LEVELS[1:]]
        ends = [f"{clean['lost'].mean():.1%}, {clean['lost'].max():.1%}"]
        ends += [f"{clean['gain'].mean():+.4f}, {clean['gain'].min():+.4f}", f"{worst:+.4f}"]
        picked = ", ".join(dict.fromkeys(str(one) for one in rows["chosen"] if one != ""))
        cells.append([str(how), *shares, *ends, picked])
    heads = ["how", *(f"gap closed at {level:g}" for level in LEVELS[1:]), "clean photos lost: mean, most"]
    heads += ["clean AUROC: mean, worst", "with defects: worst", "chosen without the product"]
    told = (
        f"{runs['product'].nunique()} products, {runs['seed'].nunique()} seeds, removing alone. Sum of the "
        "gains over sum of the gaps to the oracle; each product by what was chosen without it."
    )
    sets = runs[runs["how"] == "floor"]
    known = sets[sets["covered"].notna()]
    least = known.groupby("product")["covered"].mean()
    held = (
        "The interval of the estimated share, by a line through the other products' sets, holds the true one "
        f"in {known['covered'].mean():.0%} of the {len(known)} sets of {len(sets)} that it is told for; in "
        f"{least.min():.0%} of the sets of {least.idxmin()}, the worst product."
    )
    lines = markdown(heads, cells)
    return "\n".join(["`python -m benchmarks.products.leads`", "", told, "", *lines, "", held, ""])


if __name__ == "__main__":
    main()
