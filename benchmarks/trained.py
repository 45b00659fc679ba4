"""A bundle from a folder of good photos, by the library alone: no graph, no twins, no refinement."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import manifest
from adrefine.backbones import pdn
from adrefine.bundle.write import Run, learned, write
from adrefine.detectors import DETECTORS, Images
from adrefine.distillation import index
from adrefine.features.embed import embed
from adrefine.ingestion.pipeline import ingest
from adrefine.io import write_json
from adrefine.params import Dataset, Embed, Evaluate, Runtime
from adrefine.paths import FEATURES, MANIFEST, PIXELS, PLACES
from adrefine.places.embed import embed_places


def bundle_of(detector: str, good: Path, work: Path, embed_params: dict[str, Any], **settings: Any) -> Path:
    """The bundle of `detector` with these `settings`; its threshold and its map's limit mean nothing.

    Args:
        good: folder of photos. work: an empty one. embed_params: section `embed`.
    """
    dataset = Dataset(name="folder", root=str(good), fit="stretch", val_fraction=0.1, test_fraction=0.01)
    ingest(dataset, work / "ingested")
    table = manifest.read(work / "ingested" / MANIFEST)
    section, prepared = DETECTORS.get(detector)(**settings), work / "prepared"
    images, params = table[["image_id", "path"]], Embed.model_validate(embed_params)
    if PLACES in section.reads or not section.own_maps:
        embed_places(images, params, prepared / PLACES, work / "cache")
    if FEATURES in section.reads:
        embed(images, params, prepared / FEATURES, work / "cache")
    if PIXELS in section.reads:
        _pixels(table, prepared / PIXELS)
    refined = table.assign(kept=1)
    made = section.create()
    made.fit(Images.of(learned(refined), prepared))
    made.save(work / "model")
    run = Run(
        model=work / "model",
        prepared=prepared,
        ingested=work / "ingested",
        refined=refined,
        manifest_file=work / "ingested" / MANIFEST,
        detector=detector,
        section=section.model_dump(),
        reads=section.reads,
        own_maps=section.own_maps,
        runtime=Runtime().model_dump(),
        alpha=Evaluate().alpha,
        target_fpr=0.1,
        dataset="benchmark",
        threshold=1.0,
        map_limit=1.0,
        mapped=0,
    )
    write(run, work / "bundle")
    return work / "bundle"


def _pixels(table: pd.DataFrame, folder: Path) -> None:
    empty = pd.DataFrame(columns=["image_id", "path", "mask_path", "source_id"], dtype=str)
    index.write(folder, table, empty, [])
    shutil.copyfile(pdn.BUNDLED, folder / "pdn.pt")
    plain = {"channel_mean": [0.0] * pdn.CHANNELS, "channel_std": [1.0] * pdn.CHANNELS}
    write_json(folder / "meta.json", {"size": "small", "runtime": {}, **plain})
