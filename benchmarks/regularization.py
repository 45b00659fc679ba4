"""What keeps a flow from overfitting a small, clean training set: AUROC of DifferNet variants.

    python -m benchmarks.regularization --name mtd --root ../mtd --n-train 100 --out regularization_mtd_100

Every row changes one thing of the `fast` preset, or starts from nothing. Measured on test photos, to inform:
choose by several datasets, and do not tune the preset to one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from adrefine.io import write_text
from adrefine.params import parse
from adrefine.runtime import progress
from benchmarks import common

BARE = {"standardize": False, "feature_noise": 0.0, "holdout": 0.0, "epochs": 60}
VARIANTS: dict[str, dict[str, Any]] = {
    "fast": {},
    "bare: raw features, 60 epochs, nothing else": BARE,
    "bare + standardized": {**BARE, "standardize": True},
    "bare + standardized + early stopping": {**BARE, "standardize": True, "holdout": 0.15},
    "bare + standardized + noise .5": {**BARE, "standardize": True, "feature_noise": 0.5},
    "fast, noise .2": {"feature_noise": 0.2},
    "fast, noise 1": {"feature_noise": 1.0},
    "fast, weight decay 1e-3": {"weight_decay": 1e-3},
    "fast, 8 blocks of 256 units": {"blocks": 8, "hidden": 256},
    "fast, 10 epochs": {"epochs": 10},
}


def main() -> None:
    """Train every variant with every seed and write the table."""
    parser = argparse.ArgumentParser(description="Regularization of DifferNet on a small clean training set")
    parser.add_argument("--name", default="mtd")
    parser.add_argument("--root", required=True)
    parser.add_argument("--n-train", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    table, prepared = common.prepare(args.name, args.root)
    command = f"--name {args.name} --root {Path(args.root).name} --n-train {args.n_train} --out {args.out}"
    lines = [
        f"`python -m benchmarks.regularization {command}`", "",
        f"{args.n_train} clean training photos, seeds {', '.join(map(str, args.seeds))}.", "",
        "| variant | AUROC | epochs | seconds a training |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, changes in progress.over(VARIANTS.items(), label=args.out, unit="variant"):
        results = np.array([run(table, prepared, args.n_train, seed, changes) for seed in args.seeds])
        mean, spread = results.mean(axis=0), results.std(axis=0)
        lines.append(f"| {name} | {mean[0]:.3f} ± {spread[0]:.3f} | {mean[1]:.0f} | {mean[2]:.1f} |")
    write_text(common.RESULTS / f"{args.out}.md", "\n".join(lines) + "\n")


def run(table: Any, prepared: Path, n_train: int, seed: int, changes: dict[str, Any]) -> list[float]:
    """AUROC, epochs and seconds of one training."""
    params = parse(
        {"noise": {"level": 0.0, "n_train": n_train, "seed": seed}, "differnet": {"seed": seed, **changes}}
    )
    noisy, ids, _ = common.inject(table, params)
    start = time.perf_counter()
    model = common.fit(params, ids, noisy, prepared)
    seconds = time.perf_counter() - start
    return [common.test_auroc(model, noisy, prepared), float(len(model.log)), seconds]  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
