"""The model and dataset in the workspace, as something that may be promoted."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest, paths
from adrefine.bundle import contents
from adrefine.bundle.contents import INPUTS, MODEL
from adrefine.datasets.files import from_inbox
from adrefine.dvc_driver import processes
from adrefine.errors import UserError
from adrefine.io import read_json, sha256_file
from adrefine.params import Params
from adrefine.serving.promotion import LIKELIHOOD, Record

_INPUTS = ("meta.json", "pdn.pt")  # of what the detector reads: how a photo becomes an input of the model
_LOCK = Path("dvc.lock")
REPORT = "report.html"  # in a promoted folder: the maps of the model on test photos
_CHANGED = (
    "models/refined or data/refined changed while they were promoted: another run is at work; nothing was "
    "promoted: wait until it has ended"
)


@dataclass(frozen=True)
class Candidate:
    """A refined model and its dataset.

    Attributes:
        files: what is kept of it, by the path in its folder.
        record: its scores of the held-out photos.
        facts: what promotion.json says of it beside the decision.
        digest: of `files`, as they were when the scores were made; "" for no matter.
    """

    files: dict[str, Path]
    record: Record
    facts: dict[str, Any]
    digest: str = ""

    def check(self, files: dict[str, Path]) -> None:
        """Whether `files`, these or copies of them, are all as they were at first: a run that begins while a
        model is promoted would else mix the model of one with the record of the other.

        Raises:
            UserError: they are not.
        """
        if self.digest and digest(files) != self.digest:
            raise UserError(_CHANGED)

    def copy(self, folder: Path) -> None:
        """Copy all files into `folder`, which is empty.

        Raises:
            UserError: they changed before all were there.
        """
        for inside, path in self.files.items():
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, folder / inside)
            except FileNotFoundError:
                raise UserError(_CHANGED) from None
        self.check({inside: folder / inside for inside in self.files})

    @property
    def identity(self) -> str:
        """Hash of the model and the dataset alone."""
        return _hash(
            {
                name: path
                for name, path in self.files.items()
                if name == paths.MANIFEST or name.startswith(f"{MODEL}/")
            }
        )


@contextmanager
def unchanged(seen: str) -> Iterator[None]:
    """What the block makes of the workspace belongs together, or is not used; nor is what it complains of.

    Args:
        seen: `digest` of the `watched` files from before it was known that they belong together.

    Raises:
        UserError: one of them changed.
    """
    try:
        yield
    except Exception:
        if digest(watched()) != seen:
            raise UserError(_CHANGED) from None
        raise
    if digest(watched()) != seen:
        raise UserError(_CHANGED)


def watched() -> dict[str, Path]:
    """The files that a promotion is made of: what is kept, and the model that gives the scores."""
    return listed() | {f"refined/{path}": path for path in _below(paths.MODELS / "refined")}


def listed() -> dict[str, Path]:
    """What is kept of the refined model and its dataset, by the path in its folder."""
    kept = {paths.MANIFEST: paths.REFINED / paths.MANIFEST, "params.yaml": Path("params.yaml")}
    extra = {
        "dvc.lock": _LOCK,
        paths.EVIDENCE: paths.REFINED / paths.EVIDENCE,
        REPORT: paths.REPORTS / REPORT,
    }
    kept |= {name: path for name, path in extra.items() if path.exists()}
    bundle = paths.MODELS / "bundle"
    return kept | {path.relative_to(bundle).as_posix(): path for path in _below(bundle)}


def _below(folder: Path) -> list[Path]:
    """Files in a folder that somebody may be deleting."""
    return sorted(Path(there, name) for there, _, names in os.walk(folder) for name in names)


def digest(files: dict[str, Path]) -> str:
    """Of the content of files, by their names; one that is missing counts as such."""
    return _hash(files)


def of_workspace(settings: Params, held: pd.DataFrame) -> Candidate:
    """The refined model, its dataset, and its scores of the photos `held` out (see `promotion.held_out`).

    Raises:
        UserError: the graph has not run.
    """
    contents.check(paths.MODELS / "bundle")
    files = listed()
    wanted = {f"{INPUTS}/{read}/{name}" for read in settings.chosen_detector.reads for name in _INPUTS}
    inputs = {name: path for name, path in files.items() if name in wanted}
    shape = f"{settings.detector} {settings.dataset.image_size} {_fit(settings)} {_hash(inputs)}"
    record = Record("the new model", shape, _scores(settings, held))
    return Candidate(files, record, _facts(settings), digest(files))


def _fit(settings: Params) -> str:
    """How the photos were prepared; what `auto` decides can change as photos come, and the scores with it."""
    if settings.dataset.fit != "auto":
        return settings.dataset.fit
    return str(read_json(paths.INGESTED / "summary.json")["fit"])


def _scores(settings: Params, held: pd.DataFrame) -> pd.DataFrame:
    """image_id, score, likelihood (NaN for a detector without one)."""
    from adrefine.detectors.base import Images
    from adrefine.detectors.initial import load

    model = load(settings, paths.MODELS / "refined")
    assert model is not None  # only the oracle may be absent
    model.apply(settings.evaluate)
    images = Images(tuple(held["image_id"]), paths.PREPARED)
    table = held[["image_id"]].assign(score=model.score(images).image if len(images) else [])
    try:
        likely = model.log_likelihood(images) if len(images) else np.zeros(0)
    except UserError:
        likely = np.full(len(images), np.nan)
    table = table.assign(**{LIKELIHOOD: likely})
    for name in ("score", LIKELIHOOD):  # as they are written: later models meet the same numbers
        table[name] = [float(f"{value:.7g}") for value in table[name]]
    return table


def _facts(settings: Params) -> dict[str, Any]:
    table = manifest.read(paths.REFINED / paths.MANIFEST)
    train = manifest.of_split(table, "train")
    try:
        commit = processes.output(["git", "rev-parse", "HEAD"]).strip()
    except (processes.Failed, OSError):
        commit = ""
    return {
        "detector": settings.detector,
        "strategy": settings.refine.strategy,
        "training_photos": len(train),
        "removed": int((train["kept"] == 0).sum()),
        "from_inbox": int(table["source"].map(from_inbox).sum()),
        "git_commit": commit,
        "dvc_lock": sha256_file(_LOCK) if _LOCK.exists() else "",
    }


def _hash(files: dict[str, Path]) -> str:
    text = "\n".join(f"{name} {_of_content(path)}" for name, path in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _of_content(path: Path) -> str:
    try:
        return sha256_file(path)
    except FileNotFoundError:
        return "missing"
