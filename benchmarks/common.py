"""What the benchmarks share: a real dataset, ingested and embedded once, and one measured run on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import detectors, manifest, noise
from adrefine.defects.pipeline import make_all, sources
from adrefine.detectors.base import Images
from adrefine.features.embed import embed
from adrefine.ingestion.pipeline import ingest
from adrefine.metrics import cleaning, detection
from adrefine.params import Params, parse
from adrefine.strategies import refinement

RESULTS = Path(__file__).parent / "results"
WORK = Path(".adrefine/benchmarks")  # ingested photos and features; safe to delete


def prepare(name: str, root: str, twins: bool = False, **embed_params: Any) -> tuple[pd.DataFrame, Path]:
    """Manifest of the dataset at `root` and the folder of its features; quick the second time.

    twins: with the features of one synthetic defect of every photo that could train.
    """
    params = parse({"dataset": {"name": name, "root": root}, "embed": embed_params})
    work = WORK / f"{name}-{Path(root).name}"
    ingest(params.dataset, work / "ingested")
    table = manifest.read(work / "ingested" / "manifest.csv")
    images, features = table[["image_id", "path"]], work / "features"
    if twins:
        made = make_all(sources(table), work / "synthetic", params.synthesize)
        images, features = pd.concat([images, made[["image_id", "path"]]]), work / "features-twins"
    embed(images, params.embed, features, WORK / "features")
    return table, features


def fit(params: Params, ids: tuple[str, ...], prepared: Path) -> detectors.Detector:
    """A detector of `params` trained from scratch on the images `ids`."""
    model = detectors.create(params)
    model.fit(Images(ids, prepared))
    return model


def test_auroc(model: detectors.Detector, noisy: pd.DataFrame, prepared: Path) -> float:
    """Image AUROC on the test photos."""
    test = noisy[noisy["in_test"] == 1]
    return detection.auroc(test["label"], model.score(Images(tuple(test["image_id"]), prepared)).image)


def inject(table: pd.DataFrame, params: Params) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """The noisy manifest, the ids that train, and those of them that are no hidden defect."""
    noisy = noise.inject(table, params.noise)
    train = manifest.of_split(noisy, "train").sort_values("image_id")
    return noisy, tuple(train["image_id"]), tuple(train.loc[train["injected"] == 0, "image_id"])


def refined(params: Params, noisy: pd.DataFrame, prepared: Path, initial: Path) -> dict[str, Any]:
    """Refine from the model in `initial`; AUROC on the test photos and what was removed."""
    found = refinement.run(params, manifest.unlabelled(noisy), prepared, initial)
    train = noisy.merge(found.outcome.images, on="image_id")
    cleaned = cleaning.cleaning_metrics(
        train["injected"], train["kept"], train["relative_score"], found.outcome.rounds
    )
    return {
        "auroc": test_auroc(found.model, noisy, prepared),
        **cleaned,
        "stop_reason": found.outcome.stop_reason,
    }
