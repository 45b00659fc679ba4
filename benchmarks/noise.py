"""AUROC of vanilla, osr, irp and the oracle against the share of hidden defects, with what was removed.

    python benchmarks/noise.py --name mtd --root ../mtd --n-train 380 --out mtd_380
    python benchmarks/noise.py --name mvtec --root ../ksdd --n-train 100 --out ksdd_100
    python benchmarks/noise.py --name mtd --root ../mtd --levels 0 --strategies --out mtd_clean

One row per run in results/<out>.csv, means and spreads in results/<out>.md. Runs that the CSV has
are not repeated. A seed decides which defects hide, the flow's weights and the folds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

import common
from adrefine.errors import UserError
from adrefine.io import write_csv, write_text
from adrefine.params import Params, parse

# name in the table: sections of params.yaml. osr and irp as published; the last row is the default.
STRATEGIES: dict[str, dict[str, dict[str, Any]]] = {
    "osr": {"refine": {"strategy": "osr", "scorer": "in_sample"}},
    "irp": {"refine": {"strategy": "irp", "scorer": "in_sample"}},
    "osr out of fold": {"refine": {"strategy": "osr", "scorer": "out_of_fold"}},
    "irp out of fold": {"refine": {"strategy": "irp", "scorer": "out_of_fold"}},
}
VANILLA: dict[str, dict[str, Any]] = {"refine": {"strategy": "vanilla", "scorer": "in_sample"}}
KEYS = ["n_train", "noise", "seed"]


def main() -> None:
    """Run what is missing, then write the table."""
    args = arguments()
    table, prepared = common.prepare(args.name, args.root)
    target = common.RESULTS / f"{args.out}.csv"
    done = pd.read_csv(target) if target.exists() else pd.DataFrame(columns=KEYS)
    todo = [(level, seed) for level in args.levels for seed in args.seeds]
    for level, seed in tqdm(todo, desc=args.out, unit="setting"):
        if not ((done["noise"] == level) & (done["seed"] == seed)).any():
            rows = runs(table, prepared, args, level, seed)
            done = pd.concat([done, pd.DataFrame(rows)], ignore_index=True)
            write_csv(target, done)
    write_text(common.RESULTS / f"{args.out}.md", report(done, args))


def arguments() -> argparse.Namespace:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--name", default="mtd", help="dataset layout: mtd, mvtec, ksdd2, folder")
    parser.add_argument("--root", required=True, help="folder of the dataset")
    parser.add_argument("--n-train", type=int, help="size of the training set; all good photos by default")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.0, 0.1, 0.3, 0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--strategies", nargs="*", choices=list(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--preset", default="fast", choices=["fast", "paper"])
    parser.add_argument("--max-rounds", type=int, default=20)
    parser.add_argument("--out", required=True, help="name of the result files")
    return parser.parse_args()


def settings(args: argparse.Namespace, level: float, seed: int, chosen: dict[str, dict[str, Any]]) -> Params:
    """params.yaml of one run; its final model is trained anew, so that all rows have the same detector."""
    return parse(
        {
            "noise": {"level": level, "n_train": args.n_train, "seed": seed},
            "differnet": {"preset": args.preset, "seed": seed},
            **chosen,
            "refine": {"max_rounds": args.max_rounds, "seed": seed, **chosen["refine"]},
        }
    )


def runs(
    table: pd.DataFrame, prepared: Path, args: argparse.Namespace, level: float, seed: int
) -> list[dict[str, Any]]:
    """Every row of one level and seed; the initial model is trained once."""
    params = settings(args, level, seed, VANILLA)
    try:
        noisy, ids, clean = common.inject(table, params)
    except UserError as error:
        sys.exit(f"noise {level}, seed {seed}: {error}")
    initial = common.fit(params, ids, prepared)
    oracle = initial if clean == ids else common.fit(params, clean, prepared)
    base = {"n_train": len(ids), "noise": level, "seed": seed}
    ceiling = {"auroc": common.test_auroc(oracle, noisy, prepared)}
    rows = [{**base, "strategy": "oracle", **ceiling}]
    with tempfile.TemporaryDirectory() as folder:
        initial.save(Path(folder))
        for name in ["vanilla", *args.strategies]:
            chosen = settings(args, level, seed, STRATEGIES.get(name, VANILLA))
            found = common.refined(chosen, noisy, prepared, Path(folder))
            rows.append({**base, "strategy": name, **found})
    return rows


def report(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Mean ± standard deviation over the seeds, as Markdown."""
    columns = {
        "auroc": "AUROC", "rank_auroc": "rank AUROC", "precision": "removal precision",
        "recall": "removal recall", "removed": "removed", "good_retained": "good retained",
    }  # fmt: skip
    lines = [
        f"`python benchmarks/noise.py {' '.join(_without_root(sys.argv[1:]))}`", "",
        f"Mean ± standard deviation over the seeds {', '.join(map(str, sorted(runs['seed'].unique())))}; "
        f"preset {args.preset}; {int(runs['n_train'].iloc[0])} training photos.", "",
        "| noise | strategy | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 2) + "|",
    ]  # fmt: skip
    order = {name: rank for rank, name in enumerate(["vanilla", *STRATEGIES, "oracle"])}
    for (level, name), group in sorted(
        runs.groupby(["noise", "strategy"]), key=lambda item: (item[0][0], order[item[0][1]])
    ):
        cells = [_cell(group[column]) if column in group else "" for column in columns]
        lines.append(f"| {level:g} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: pd.Series) -> str:
    if values.isna().all():
        return ""
    return f"{values.mean():.3f} ± {values.std(ddof=0):.3f}"


def _without_root(words: list[str]) -> list[str]:
    """The command line with the dataset's folder shown by its name alone."""
    pairs = zip(["", *words], words, strict=False)
    return [Path(word).name if before == "--root" else word for before, word in pairs]


if __name__ == "__main__":
    main()
