"""Datasets prepared once for all runs of a detector; folders under .adrefine/benchmarks, safe to delete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock

from adrefine import manifest
from adrefine.areas.region import find
from adrefine.io import read_json, sha256_file, write_json
from adrefine.params import Params
from adrefine.paths import FEATURES, MANIFEST, PIXELS, PLACES
from adrefine.runtime.opened import opened

if TYPE_CHECKING:
    import pandas as pd

    from adrefine.areas.region import Region

WORK = Path(".adrefine/benchmarks")
_INPUTS = "prepared"
_VERSION = 2  # raise it when a change to the code changes what is prepared
_MARK = "prepared.json"  # written last: what the folder was made of


class Prepared(NamedTuple):
    """Manifest of a dataset, and the folder of what the detector reads, as data/prepared."""

    table: pd.DataFrame
    inputs: Path


def folder(params: Params, twins: bool = False) -> Path:
    """Where the dataset of `params` is prepared with these settings."""
    reads = _reads(params)
    made_of: dict[str, Any] = {"version": _VERSION, "reads": list(reads)}
    made_of["all twins"] = params.chosen_detector.learns_twins
    for name in ("dataset", *sections(reads, twins)):
        made_of[name] = params.section(name).model_dump()
    made_of["dataset"]["root"] = str(Path(params.dataset.root).expanduser().resolve())
    if PIXELS in reads:
        from adrefine.backbones.pdn import BUNDLED

        made_of["bundled"] = sha256_file(BUNDLED)  # another version may bring other weights
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:8]
    return WORK / f"{params.dataset.name}-{Path(params.dataset.root).name}-{digest}"


def _reads(params: Params) -> list[str]:
    """Folders to make: what the detector reads, and places, which evidence and maps of all detectors read."""
    return sorted({PLACES, *params.chosen_detector.reads})


def sections(reads: Iterable[str], twins: bool) -> list[str]:
    """Sections of params.yaml that decide what is in the folders `reads`, beside the dataset's."""
    names = {section for name in reads for section in _MAKERS[name].sections}
    return sorted(names | ({"synthesize"} if twins else set()))


def prepare(params: Params, twins: bool = False) -> Prepared:
    """Make what the detector of `params` reads, unless that is done and no photo has changed since.

    One process prepares; others that ask for the same wait for it.

    Args:
        twins: also of the synthetic defects of photos that could train.

    Raises:
        UserError: the photos are missing or unusable.
    """
    work = folder(params, twins)
    WORK.mkdir(parents=True, exist_ok=True)
    with FileLock(work.with_name(f".{work.name}.lock")):
        digests = {"files": _files(params)}
        if not (work / _MARK).exists() or read_json(work / _MARK) != digests:
            shutil.rmtree(work, ignore_errors=True)  # models as well: they learned other photos
            _make(params, work, twins)
            write_json(work / _MARK, digests)
    return read(work)


def region(inputs: Path) -> Region | None:
    """What counts of the photos whose features are in `inputs`; None: all of them."""
    return find(inputs.parent / "ingested")


def read(work: Path) -> Prepared:
    """What `prepare` made in `work`, read once by each process, and again when it was made anew."""
    return opened(_read, work / _MARK, work)


def _read(work: Path) -> Prepared:
    return Prepared(manifest.read(work / "ingested" / MANIFEST), work / _INPUTS)


def _make(params: Params, work: Path, twins: bool) -> None:
    from adrefine.defects.pipeline import drawn, make_all, sources
    from adrefine.ingestion.pipeline import ingest

    ingest(params.dataset, work / "ingested")
    table = manifest.read(work / "ingested" / MANIFEST)
    reads, made, counted = _reads(params), table[:0], find(work / "ingested")
    if "synthesize" in sections(reads, twins):
        most = None if params.chosen_detector.learns_twins else params.synthesize.photos
        photos = drawn(sources(table), most, params.synthesize.seed)
        made = make_all(photos, work / "synthetic", params.synthesize, region=counted)
    for name in reads:
        _MAKERS[name].make(params, table, made, counted, work / _INPUTS / name)


def _embed(params: Params, table: pd.DataFrame, made: pd.DataFrame, region: Region | None, out: Path) -> None:
    """As stage embed: features of photos and synthetic defects."""
    from adrefine.features.embed import embed

    embed(_images(table, made), params.embed, out, WORK / "features", params.runtime)


def _embed_places(
    params: Params, table: pd.DataFrame, made: pd.DataFrame, region: Region | None, out: Path
) -> None:
    """As stage embed: maps of places of photos and synthetic defects."""
    from adrefine.places.embed import embed_places

    embed_places(_images(table, made), params.embed, out, WORK / "features", params.runtime, region)


def _images(table: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    """Ids, files and kinds of photos and synthetic defects together."""
    import pandas as pd

    return pd.concat([table, made]).reindex(columns=["image_id", "path", "kind"])


def _list(params: Params, table: pd.DataFrame, made: pd.DataFrame, region: Region | None, out: Path) -> None:
    """As stage pretrain_pdn: the patch network and the list of what a detector will see."""
    from adrefine.distillation import images, index, pretrain

    index.write(out, table, made, images.find(Path(params.pretrain_pdn.images)), region)
    photos = pretrain.sources(table)
    pretrain.pretrain(photos, params.pretrain_pdn, out, WORK / "pdn", params.runtime)


class _Maker(NamedTuple):
    """How a folder that detectors read is made, and the sections of params.yaml that decide what is in it."""

    sections: tuple[str, ...]
    make: Callable[[Params, pd.DataFrame, pd.DataFrame, Region | None, Path], None]


_MAKERS = {
    FEATURES: _Maker(("embed", "runtime"), _embed),
    PLACES: _Maker(("embed", "runtime"), _embed_places),
    PIXELS: _Maker(("pretrain_pdn", "runtime", "synthesize"), _list),
}


def _files(params: Params) -> str:
    """Digest of names, sizes and times of the files of the dataset."""
    from adrefine import datasets

    root, lines = datasets.locate(params.dataset), []
    for path, _, names in os.walk(root):
        for name in names:
            status = os.stat(os.path.join(path, name))
            lines.append(f"{os.path.relpath(path, root)}/{name} {status.st_size} {status.st_mtime_ns}")
    if (mask := Path(params.dataset.roi or "")).is_file():
        lines.append(f"region of interest {sha256_file(mask)}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
