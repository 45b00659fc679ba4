"""What a minute of a person is worth to a detector that must be trained: DifferNet, EfficientAD.

    python -m benchmarks.review_trained --data ../data
    python -m benchmarks.review_trained --data ../data --detectors efficientad --seeds 0 1 2

The live review of benchmarks/review.py, answered one by one and rightly: it ranks photos by places,
whatever the detector. What it leaves out after 0, 20 and 40 answers goes, and the detector is trained anew,
from scratch. `vanilla` learns all photos, `oracle` all but the hidden defects. Rows that
results/review_trained.csv has are not repeated; several processes may share it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine.benchmark import measure, prepared
from adrefine.errors import UserError
from adrefine.io import write_text
from adrefine.params import parse
from adrefine.reviewing.ranking import Ranking
from adrefine.reviewing.session import Session
from adrefine.runtime import hardware, progress
from adrefine.text import markdown
from benchmarks.common import RESULTS, add_rows, rows_of
from benchmarks.products.cases import Case, case, prepare
from benchmarks.review import answers_of, left_out

PRODUCTS = {
    "tiles": ("mtd", "mtd"),
    "commutators": ("mvtec", "ksdd"),
    "screws": ("folder", "screw"),
    "bottles": ("folder", "bottle"),
    "pills": ("folder", "pill"),
}
DETECTORS: dict[str, dict[str, Any]] = {"differnet": {}, "efficientad": {"preset": "instant"}}
LEVELS = (0.05, 0.1, 0.2, 0.3)
ANSWERS = (0, 20, 40)
TRAINED = 100  # photos
KEYS = ["detector", "product", "level", "seed"]
COMMAND = "python -m benchmarks.review_trained --data ../data"


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../data"))
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS), choices=DETECTORS)
    parser.add_argument("--products", nargs="+", default=list(PRODUCTS), choices=PRODUCTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--levels", type=float, nargs="+", default=list(LEVELS), choices=LEVELS)
    args = parser.parse_args()
    target = RESULTS / "review_trained.csv"
    cases = product(args.seeds, args.detectors, args.products, args.levels)
    todo = [(detector, name, level, seed) for seed, detector, name, level in cases]
    for one in progress.over(todo, label="review", unit="set"):
        done = rows_of(target, KEYS)
        if not (done[KEYS] == list(one)).all(axis=1).any():
            rows = pd.DataFrame(dict(zip(KEYS, one, strict=True)) | row for row in trained(args.data, *one))
            add_rows(target, rows, KEYS)
    write_text(target.with_suffix(".md"), report(pd.read_csv(target)))


def trained(data: Path, detector: str, name: str, level: float, seed: int) -> Iterator[dict[str, Any]]:
    """AUROC on the test photos and what was left out, of `vanilla`, `oracle` and after each of ANSWERS."""
    layout, folder = PRODUCTS[name]
    section = DETECTORS[detector] | {"seed": seed}
    params = parse({
        "dataset": {"name": layout, "root": str(data / folder)}, "detector": detector, detector: section,
        "noise": {"level": level, "n_train": TRAINED, "seed": seed},
    })  # fmt: skip
    table, inputs = prepared.prepare(params)
    try:
        one = case(name, table, prepare(layout, str(data / folder))[1], TRAINED, level, seed)
    except UserError:  # too few defects for this level
        return
    noisy, ids, clean = measure.inject(table, params)
    with hardware.one_core_each():
        for left, out in reviewed(one).items():
            kept = tuple(np.delete(ids, out))
            assert left != "oracle" or kept == clean
            auroc = measure.tested(measure.fit(params, kept, noisy, inputs), noisy, inputs)["auroc"]
            hidden = int(one.hidden[out].sum())
            yield {"set": left, "auroc": auroc, "confirmed": hidden, "good_lost": len(out) - hidden}


def reviewed(one: Case) -> dict[str, np.ndarray]:
    """Places of the photos that are left out: by nobody, by who knows, and after so many answers."""
    session = Session(Ranking(one.store, one.found.ids, seed=one.seed), seed=one.seed)
    sets = {"vanilla": np.array([], int), "oracle": np.flatnonzero(one.hidden)}
    for given, _ in answers_of(one, session, lambda live, _: live.next(), 0.0, ANSWERS):
        sets[f"{given}"] = left_out(one, session)[0]
    return sets


def report(runs: pd.DataFrame) -> str:
    """Gap closed after so many answers, by detector and level, and what was left out."""
    wide = runs.pivot_table(index=KEYS, columns="set", values="auroc")
    wide["gap"] = wide["oracle"] - wide["vanilla"]
    cells = []
    for detector, rows in wide.groupby("detector", sort=False):
        levels = [rows[rows.index.get_level_values("level") == level] for level in LEVELS]
        for count in map(str, ANSWERS):
            out = runs[(runs["detector"] == detector) & (runs["set"] == count)]
            closed = [_closed(part[count] - part["vanilla"], part["gap"]) for part in levels]
            means = [f"{rows[count].mean():.3f}"] + [
                f"{out[name].mean():.1f}" for name in ("confirmed", "good_lost")
            ]
            cells.append([str(detector), count, *closed, *means])
    heads = ["detector", "answers", *(f"gap closed at {level:g}" for level in LEVELS)]
    heads += ["mean AUROC", "defects out", "good ones out"]
    return "\n".join([f"`{COMMAND}`", "", *_told(runs, wide), "", *markdown(heads, cells), ""])


def _told(runs: pd.DataFrame, wide: pd.DataFrame) -> list[str]:
    """What was run, and how it is counted."""
    counts = runs.groupby("detector")[["product", "seed"]].nunique()
    ends = wide.groupby("detector")[["vanilla", "oracle"]].mean()
    return [
        f"- {detector}: {row['product']} products, {row['seed']} seeds, {TRAINED} photos train; mean AUROC "
        f"of `vanilla` {ends.loc[detector, 'vanilla']:.3f}, of `oracle` {ends.loc[detector, 'oracle']:.3f}."
        for detector, row in counts.iterrows()
    ] + [
        "- Gap closed: sum of the gains in AUROC over sum of the gaps to the oracle ± its standard "
        "deviation, each set left out in turn (jackknife). EfficientAD: preset `instant`.",
    ]


def _closed(gain: pd.Series, gap: pd.Series) -> str:
    """Share of the gap that closes, with its jackknife deviation; nothing of fewer than two sets."""
    if len(gain) < 2:
        return ""
    left = (gain.sum() - gain) / (gap.sum() - gap)
    spread = np.sqrt((len(left) - 1) * np.var(left))
    return f"{gain.sum() / gap.sum():.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
