"""IRP with 20 rounds, cached features and warm starts, against the naive way, in one run.

    python benchmarks/irp_speed.py --photos 60 --rounds 20

Naive: every round embeds the kept photos again and trains anew. Both remove the arg-max of every round (λ
is so low that every round removes one) from the same start. Generated demo photos; test photos only measure.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import common
from adrefine import detectors, manifest, noise
from adrefine.detectors.base import Images
from adrefine.features.embed import embed
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_json
from adrefine.params import Params, parse
from adrefine.strategies import refinement


def main() -> None:
    """Run both ways, print and store seconds, ratio and AUROC."""
    parser = argparse.ArgumentParser(description="IRP: cached and warm against naive")
    parser.add_argument("--photos", type=int, default=60, help="training photos")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--scorer", default="in_sample", choices=["in_sample", "out_of_fold"])
    args = parser.parse_args()
    params = parse(
        {
            "noise": {"level": 0.3, "n_train": args.photos},
            "refine": {"max_rounds": args.rounds, "min_keep": 0.1, "scorer": args.scorer},
            "irp": {"lambda": 0.5},
        }
    )
    work = common.WORK / "demo"
    ingest(params.dataset, work / "ingested")
    noisy = noise.inject(manifest.read(work / "ingested" / "manifest.csv"), params.noise)
    train, test = manifest.of_split(noisy, "train"), noisy[noisy["in_test"] == 1]
    embed(test[["image_id", "path"]], params.embed, work / "test", common.WORK / "features")
    with TemporaryDirectory() as folder:
        ours, model = cached(params, noisy, train, Path(folder))
        theirs, other = naive(params, train, Path(folder), args.rounds)
    ours["auroc"] = round(common.test_auroc(model, noisy, work / "test"), 4)
    theirs["auroc"] = round(common.test_auroc(other, noisy, work / "test"), 4)
    ratio = round(theirs["seconds"] / ours["seconds"], 1)
    result = {**vars(args), "cached": ours, "naive": theirs, "ratio": ratio}
    write_json(common.RESULTS / "irp_speed.json", result)
    print(result)


def cached(
    params: Params, noisy: pd.DataFrame, train: pd.DataFrame, folder: Path
) -> tuple[dict[str, float], detectors.Detector]:
    """Seconds from an empty cache, embedding included, as a first run of the graph; the refined model."""
    start = time.perf_counter()
    embed(train[["image_id", "path"]], params.embed, folder / "features", folder / "cache")
    embedded = time.perf_counter()
    ids = tuple(sorted(train["image_id"]))
    common.fit(params, ids, folder / "features").save(folder / "initial")
    trained = time.perf_counter()
    unwatched = manifest.unlabelled(noisy).assign(in_test=0)
    found = refinement.run(params, unwatched, folder / "features", folder / "initial")
    end = time.perf_counter()
    parts = {"embed": embedded - start, "train": trained - embedded, "refine": end - trained}
    seconds = {name: round(value, 2) for name, value in {"seconds": end - start, **parts}.items()}
    return {**seconds, "rounds": found.outcome.rounds}, found.model


def naive(
    params: Params, train: pd.DataFrame, folder: Path, rounds: int
) -> tuple[dict[str, float], detectors.Detector]:
    """Seconds of embedding, training from scratch, scoring and dropping the arg-max, again and again."""
    ids = tuple(sorted(train["image_id"]))
    start = time.perf_counter()
    for number in range(rounds + 1):
        prepared = folder / f"naive-{number}"
        rows = train[train["image_id"].isin(ids)]
        embed(rows[["image_id", "path"]], params.embed, prepared, folder / f"cache-{number}")
        model = common.fit(params, ids, prepared)
        scores = pd.Series(model.score(Images(ids, prepared)).image, index=list(ids))
        if number < rounds:
            ids = tuple(sorted(set(ids) - {scores.idxmax()}))
    return {"seconds": round(time.perf_counter() - start, 2), "rounds": rounds}, model


if __name__ == "__main__":
    main()
