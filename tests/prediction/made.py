"""A small finished run of any detector, and its bundle: photos of a drawn part, two of them with a spot."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import manifest
from adrefine.areas.region import Region, find
from adrefine.bundle.write import Run, learned, write
from adrefine.detectors import DETECTORS, Detector, Images
from adrefine.features.embed import embed
from adrefine.ingestion import roi
from adrefine.ingestion.pipeline import ingest
from adrefine.io import read_json
from adrefine.params import Dataset, Embed, Evaluate, Runtime
from adrefine.paths import FEATURES, PIXELS, PLACES
from adrefine.places.embed import embed_places
from fakes import pixel_store
from ingestion.drawn import club, photo

SIZE, COUNT = 64, 22
TINY: dict[str, dict[str, Any]] = {
    "padim": {},
    "mixed": {},
    "glass": {"steps": 100, "hidden": 32},
    "uflow": {"steps": 25, "blocks": 2},
    "differnet": {"hidden": 16, "blocks": 2, "epochs": 3},
    "ddad": {"side": 32, "channels": 8, "levels": [1, 2], "steps": 25, "learning_rate": 2e-3, "start": 50},
    "efficientad": {"preset": "short", "side": 64, "steps": 2, "batch_size": 1, "holdout": 0},
    "efficientad instant": {"preset": "instant", "side": 64},
    "efficientad steps": {"preset": "fast", "side": 64, "steps": 10},
    "anomalib": {"args": {"pre_trained": False}, "epochs": 1, "side": 64},
}
_PLACES = {"side": 64, "grid": 8, "components": 8}


@dataclass(frozen=True)
class Made:
    """A trained model, its bundle and where its photos are."""

    bundle: Path
    run: Run
    detector: Detector
    photos: dict[str, Path]

    @property
    def preparation(self) -> dict[str, Any]:
        """preparation.json of the photos."""
        found: dict[str, Any] = read_json(self.run.ingested / "preparation.json")
        return found

    def scores(self) -> dict[str, float]:
        """By id, as the graph scores them: all at once."""
        images = Images(tuple(sorted(self.photos)), self.run.prepared)
        return dict(zip(images.ids, self.detector.score(images).image.tolist(), strict=True))


def values(number: int, turned: bool) -> np.ndarray:
    """A photo (128, 160), the part at any angle if `turned`; the last two have a white spot."""
    part = club(number * 1.1 if turned else 0.2)
    found = photo(part, seed=number)
    if number >= COUNT - 2:
        found[58:70, 74:86] = 255
    return found


def middle() -> np.ndarray:
    """The region of interest as a mask (128, 160) of a photo."""
    mask = np.zeros((128, 160), np.uint8)
    mask[20:108, 30:130] = 255
    return mask


@cache
def made(
    detector: str,
    fit: str = "stretch",
    deep: bool = False,
    region: bool = False,
    network: tuple[str, str] | None = None,
) -> Made:
    """The run, made once for each process.

    Args:
        detector: one of TINY.
        region: only the middle of the photos counts, see `middle`.
        network: `embed.backbone` and `embed.weights`.
    """
    work = Path(mkdtemp(prefix="adrefine-test-"))
    root = work / "photos"
    for number in range(COUNT):
        grey = values(number, fit == "part")
        path = root / f"{number:02d}.{'jpg' if number % 3 == 0 and not deep else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey.astype(np.uint16) * 16 if deep else grey).save(path)
    if region:
        Image.fromarray(middle()).save(work / "roi.png")
    dataset = Dataset(name="folder", root=str(root), image_size=SIZE, fit=fit, val_fraction=0.3)
    ingested, prepared = work / "ingested", work / "prepared"
    cache_here = patch.dict(os.environ, ADREFINE_CACHE_DIR=str(work / "cache"))
    with cache_here, patch.object(roi, "ROI", work):
        asked = {"roi": str(work / "roi.png")} if region else {}
        ingest(dataset.model_copy(update=asked), ingested, workers=1)
    table = manifest.read(ingested / "manifest.csv")
    name = detector.partition(" ")[0]
    section = DETECTORS.get(name)(**TINY[detector])
    _prepare(table, prepared, section.reads, work / "cache", find(ingested), network)
    trained = section.create()
    spotted = table["source"].str[:2].astype(int) >= COUNT - 2
    refined = table.assign(kept=((table["split"] == "train") & ~spotted).astype(int))
    trained.fit(Images.of(learned(refined), prepared))
    trained.save(work / "model")
    trained.apply(Evaluate(alpha=0.9))
    refined_file = work / "refined.csv"
    shutil.copyfile(ingested / "manifest.csv", refined_file)
    run = Run(
        model=work / "model",
        prepared=prepared,
        ingested=ingested,
        refined=refined,
        manifest_file=refined_file,
        detector=name,
        section=section.model_dump(),
        reads=section.reads,
        own_maps=section.own_maps,
        runtime=Runtime().model_dump(),
        alpha=0.9,
        target_fpr=0.2,
        dataset="clubs",
        threshold=1.5,
        map_limit=2.0,
        mapped=5,
        metrics={"auroc": 0.9},
    )
    write(run, work / "bundle")
    sources = {row.image_id: root / row.source for row in table.itertuples()}
    return Made(work / "bundle", run, trained, sources)


def _prepare(
    table: pd.DataFrame,
    prepared: Path,
    reads: tuple[str, ...],
    cache_folder: Path,
    region: Region | None,
    network: tuple[str, str] | None,
) -> None:
    images = table[["image_id", "path"]]
    named = dict(zip(("backbone", "weights"), network, strict=True)) if network else {}
    section = Embed.model_validate({"scales": [64, 32], "views": 2, "places": _PLACES, **named})
    embed_places(images, section, prepared / PLACES, cache_folder, region=region)
    if FEATURES in reads:
        embed(images, section, prepared / FEATURES, cache_folder)
    if PIXELS in reads:
        photos = {row.image_id: Path(row.path) for row in table.itertuples()}
        pixel_store(prepared, photos, region=region)
