"""IRP with 20 rounds, cached features and warm starts, against the naive way, in one run.

    python -m benchmarks.irp_speed --photos 120 --rounds 20

Naive: every round embeds the kept photos again and trains anew. Both remove the arg-max of every round (λ
is so low that every round removes one) from the same start. Generated demo photos; test photos only measure.
The first seed is timed with all its embedding; for the others, which only compare the AUROC, the naive way
reads the vectors that it would compute again. Before the clock starts both ways have run once on twenty
photos, so that neither pays for imports. Seeds 0 to 5 served to choose `refine.refit`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from adrefine import detectors, manifest, noise
from adrefine.detectors.base import Images
from adrefine.features.embed import embed
from adrefine.io import write_json
from adrefine.params import Params, parse
from adrefine.strategies import refinement
from benchmarks import common

WAYS = ("cached", "naive")


def main() -> None:
    """Run both ways, print and store seconds, ratio and AUROC."""
    parser = argparse.ArgumentParser(description="IRP: cached and warm against naive")
    parser.add_argument("--photos", type=int, default=120, help="training photos")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--scorer", default="in_sample", choices=["in_sample", "out_of_fold"])
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[6, 7, 8, 9, 10, 11], help="the first one is timed"
    )
    args = parser.parse_args()
    table, prepared = common.prepare("demo", "data/raw")
    compare(argparse.Namespace(**{**vars(args), "photos": 20, "rounds": 1}), 0, table, prepared, timed=True)
    runs = [compare(args, seed, table, prepared, timed=seed == args.seeds[0]) for seed in args.seeds]
    result = {
        **vars(args),
        "ratio": round(runs[0]["naive"]["seconds"] / runs[0]["cached"]["seconds"], 1),
        "auroc": {way: round(float(np.mean([run[way]["auroc"] for run in runs])), 4) for way in WAYS},
        "spread": {
            way: round(float(np.std([run[way]["auroc"] for run in runs], ddof=min(1, len(runs) - 1))), 4)
            for way in WAYS
        },
        "runs": runs,
    }
    write_json(common.RESULTS / "irp_speed.json", result)
    print(result)


def compare(
    args: argparse.Namespace, seed: int, table: pd.DataFrame, prepared: Path, timed: bool
) -> dict[str, Any]:
    """Both ways with the hidden defects of `seed`; `prepared` has the vectors of all photos."""
    params = parse(
        {
            "noise": {"level": 0.3, "n_train": args.photos, "seed": seed},
            "refine": {
                "strategy": "irp",
                "max_rounds": args.rounds,
                "min_keep": 0.1,
                "scorer": args.scorer,
            },
            "irp": {"lambda": 0.5},
        }
    )
    noisy = noise.inject(table, params.noise)
    train = manifest.of_split(noisy, "train")
    with TemporaryDirectory() as folder:
        ours, model = cached(params, noisy, train, Path(folder))
        theirs, other = naive(params, train, Path(folder), args.rounds, None if timed else prepared)
    ours["auroc"] = round(common.test_auroc(model, noisy, prepared), 4)
    theirs["auroc"] = round(common.test_auroc(other, noisy, prepared), 4)
    return {"seed": seed, "cached": ours, "naive": theirs}


def cached(
    params: Params, noisy: pd.DataFrame, train: pd.DataFrame, folder: Path
) -> tuple[dict[str, float], detectors.Detector]:
    """Seconds from an empty cache, embedding included, as a first run of the graph; the refined model."""
    start = time.perf_counter()
    embed(train[["image_id", "path"]], params.embed, folder / "features", folder / "cache")
    embedded = time.perf_counter()
    ids = tuple(sorted(train["image_id"]))
    common.fit(params, ids, noisy, folder / "features").save(folder / "initial")
    trained = time.perf_counter()
    unwatched = manifest.unlabelled(noisy).assign(in_test=0)
    outcome = refinement.run(params, unwatched, folder / "features", folder / "initial")
    end = time.perf_counter()
    parts = {"embed": embedded - start, "train": trained - embedded, "refine": end - trained}
    seconds = {name: round(value, 2) for name, value in {"seconds": end - start, **parts}.items()}
    return {**seconds, "rounds": outcome.outcome.rounds}, outcome.model


def naive(
    params: Params, train: pd.DataFrame, folder: Path, rounds: int, shared: Path | None
) -> tuple[dict[str, float], detectors.Detector]:
    """Seconds of embedding, training from scratch, scoring and dropping the arg-max, again and again.

    shared: vectors to read instead of embedding; the seconds then mean nothing and are left out.
    """
    ids = tuple(sorted(train["image_id"]))
    start = time.perf_counter()
    for number in range(rounds + 1):
        prepared = shared or folder / f"naive-{number}"
        if shared is None:
            rows = train[train["image_id"].isin(ids)]
            embed(rows[["image_id", "path"]], params.embed, prepared, folder / f"cache-{number}")
        model = common.fit(params, ids, train, prepared)
        scores = pd.Series(model.score(Images(ids, prepared)).image, index=list(ids))
        if number < rounds:
            ids = tuple(sorted(set(ids) - {scores.idxmax()}))
    seconds = {"seconds": round(time.perf_counter() - start, 2)} if shared is None else {}
    return {**seconds, "rounds": rounds}, model


if __name__ == "__main__":
    main()
