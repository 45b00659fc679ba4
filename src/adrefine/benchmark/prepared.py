"""Datasets ingested and embedded once for all runs; folders under .adrefine/benchmarks, safe to delete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adrefine import manifest
from adrefine.io import read_json, write_json
from adrefine.params import Params
from adrefine.paths import MANIFEST

if TYPE_CHECKING:
    import pandas as pd

WORK = Path(".adrefine/benchmarks")
_MARK = "prepared.json"  # written last: what the folder was made of


class Prepared(NamedTuple):
    """Manifest of a dataset and the folder of its features."""

    table: pd.DataFrame
    features: Path


def folder(params: Params, twins: bool = False) -> Path:
    """Where the dataset of `params` is prepared with these settings."""
    made_of: dict[str, Any] = {"dataset": params.dataset.model_dump(), "embed": params.embed.model_dump()}
    made_of["dataset"]["root"] = str(Path(params.dataset.root).expanduser().resolve())
    if twins:
        made_of["synthesize"] = params.synthesize.model_dump()
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:8]
    return WORK / f"{params.dataset.name}-{Path(params.dataset.root).name}-{digest}"


def prepare(params: Params, twins: bool = False) -> Prepared:
    """Ingest and embed the dataset of `params`, unless that is done and no photo has changed since.

    Only one process may prepare: others may read what is there.

    Args:
        twins: also the features of the synthetic defects of every photo that could train.

    Raises:
        UserError: the photos are missing or unusable.
    """
    work = folder(params, twins)
    found = {"files": _files(params)}
    if not (work / _MARK).exists() or read_json(work / _MARK) != found:
        shutil.rmtree(work, ignore_errors=True)  # models as well: they learned other photos
        _make(params, work, twins)
        write_json(work / _MARK, found)
    return read(work)


def read(work: Path) -> Prepared:
    """What `prepare` made in `work`, read once by each process, and again when it was made anew."""
    return _read(work, (work / _MARK).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(work: Path, written: int) -> Prepared:
    return Prepared(manifest.read(work / "ingested" / MANIFEST), work / "features")


def _make(params: Params, work: Path, twins: bool) -> None:
    import pandas as pd

    from adrefine.defects.pipeline import make_all, sources
    from adrefine.features.embed import embed
    from adrefine.ingestion.pipeline import ingest

    ingest(params.dataset, work / "ingested")
    table = manifest.read(work / "ingested" / MANIFEST)
    images = table[["image_id", "path"]]
    if twins:
        made = make_all(sources(table), work / "synthetic", params.synthesize)
        images = pd.concat([images, made[["image_id", "path"]]])
    embed(images, params.embed, work / "features", WORK / "features")


def _files(params: Params) -> str:
    """Digest of names, sizes and times of the files of the dataset."""
    from adrefine import datasets

    root, lines = datasets.locate(params.dataset), []
    for path, _, names in os.walk(root):
        for name in names:
            found = os.stat(os.path.join(path, name))
            lines.append(f"{os.path.relpath(path, root)}/{name} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
