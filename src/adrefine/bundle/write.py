"""A bundle from a run: written by evaluate, once it knows the threshold."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from adrefine import __version__, manifest
from adrefine.areas.region import FILE as REGION
from adrefine.bundle import card, inputs
from adrefine.bundle.contents import CARD, FILE, INPUTS, MODEL, PLACES, Contents, MapScale, Threshold
from adrefine.detectors import DETECTORS
from adrefine.errors import UserError
from adrefine.io import atomic_open, fresh_folder, read_json, sha256_file, write_json, write_text
from adrefine.paths import PLACES as PLACES_INPUT
from adrefine.paths import TAUGHT
from adrefine.places.maps import usual
from adrefine.places.sums import Sums

_MOST = 20  # modes and such are looked up in so many photos: one header each


@dataclass(frozen=True)
class Run:
    """What a bundle is made of.

    Attributes:
        model: folder of the refined detector. prepared, ingested: data/prepared, data/ingested.
        refined: the refined manifest with labels.
        detector, section, reads: its name, its settings, the inputs that it reads.
        own_maps: whether its maps are its own, not those of places.
        runtime: section `runtime`. alpha, target_fpr: of section `evaluate`. dataset: its name.
        threshold: of the refined model. map_limit: of its maps, read off `mapped` photos.
        metrics: of the refined model.
        settings: sections of params.yaml that decided on the model, by name.
    """

    model: Path
    prepared: Path
    ingested: Path
    refined: pd.DataFrame
    manifest_file: Path
    detector: str
    section: Mapping[str, Any]
    reads: tuple[str, ...]
    own_maps: bool
    runtime: Mapping[str, Any]
    alpha: float
    target_fpr: float
    dataset: str
    threshold: float
    map_limit: float
    mapped: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def write(run: Run, out: Path) -> Contents:
    """Write the bundle to `out`, byte for byte the same for the same run; bundle.json comes last."""
    fresh_folder(out)
    shutil.copytree(run.model, out / MODEL, ignore=shutil.ignore_patterns(TAUGHT))
    shown = [] if run.own_maps or PLACES_INPUT in run.reads else [PLACES_INPUT]
    own = inputs.of_detector(DETECTORS.get(run.detector)(**run.section))
    frozen = {name: inputs.freeze(run.prepared, name, out / INPUTS / name) for name in (*run.reads, *shown)}
    if not run.own_maps:
        _write_places(run, out / PLACES)
    if (run.ingested / REGION).exists():
        shutil.copyfile(run.ingested / REGION, out / REGION)
    contents = Contents(
        adrefine=__version__,
        detector=run.detector,
        section=dict(run.section),
        alpha=run.alpha,
        threshold=_threshold(run),
        map=MapScale(of="detector" if run.own_maps else "places", limit=run.map_limit, photos=run.mapped),
        preparation=_preparation(run.ingested),
        region=REGION if (out / REGION).exists() else "",
        seen=_seen(run.refined),
        runtime=dict(run.runtime),
        inputs=list(run.reads),
        shown=shown,
        backbones={name: weights for name, weights in frozen.items() if weights} | own,
        dataset=_dataset(run),
        metrics=dict(run.metrics),
        params=dict(run.settings),
    )
    write_text(out / CARD, card.text(contents))
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    contents = contents.model_copy(update={"files": {name: sha256_file(out / name) for name in names}})
    write_json(out / FILE, contents.model_dump(exclude=None if contents.region else {"region"}))
    return contents


def held_out(refined: pd.DataFrame) -> pd.DataFrame:
    """The photos that thresholds are read off: held out, and not known to be defective. Never test photos."""
    return refined[(refined["split"] == "val") & (refined["label"] != manifest.DEFECT)]


def learned(refined: pd.DataFrame) -> pd.DataFrame:
    """The photos that the refined model has learned."""
    train = manifest.of_split(refined, "train")
    return train[train["kept"] == 1]


def _threshold(run: Run) -> Threshold:
    held = held_out(run.refined)
    parts = held["part"].where(held["part"] != "", held["image_id"]) if "part" in held else held["image_id"]
    count = int(parts.nunique())
    return Threshold(
        value=run.threshold,
        target_fpr=run.target_fpr,
        photos=len(held),
        parts=count,
        unlabelled=int((held["label"] == manifest.UNKNOWN).sum()),
        kept=ceil((count + 1) * (1 - run.target_fpr) - 1e-9) <= count,
    )


def _write_places(run: Run, path: Path) -> None:
    """What is usual at every place of the photos that the model has learned, for maps."""
    import torch

    sums: Sums = usual(run.prepared, learned(run.refined)["image_id"])
    with atomic_open(path) as file:
        torch.save({name: torch.from_numpy(value) for name, value in vars(sums).items()}, file)


def _preparation(ingested: Path) -> dict[str, Any]:
    try:
        preparation: dict[str, Any] = read_json(ingested / "preparation.json")
    except OSError:
        raise UserError(f"{ingested} has no preparation.json: run `dvc repro -f -s ingest`") from None
    return preparation


def _seen(refined: pd.DataFrame) -> dict[str, Any]:
    rows = learned(refined)
    modes = set()
    for path in rows.sort_values("image_id")["path"].iloc[:: max(1, len(rows) // _MOST)]:
        with Image.open(path) as image:
            modes.add(image.mode)
    ends = {side: [int(np.min(rows[side])), int(np.max(rows[side]))] for side in ("width", "height")}
    return {"photos": len(rows), **ends, "modes": sorted(modes)}


def _dataset(run: Run) -> dict[str, Any]:
    train = manifest.of_split(run.refined, "train")
    return {
        "name": run.dataset,
        "manifest_sha256": sha256_file(run.manifest_file),
        "training_photos": int((train["kept"] == 1).sum()),
        "removed": int((train["kept"] == 0).sum()),
    }
