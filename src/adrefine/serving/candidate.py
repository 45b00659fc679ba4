"""The model and dataset in the workspace, as something that may be promoted."""

from __future__ import annotations

import hashlib
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


@dataclass(frozen=True)
class Candidate:
    """A refined model and its dataset.

    Attributes:
        files: what is kept of it, by the path in its folder.
        record: its scores of the held-out photos.
        facts: what promotion.json says of it beside the decision.
        digest: of all files, as they were before anything was made of them; "" for no matter.
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
            raise UserError(
                "models/refined or data/refined changed while they were promoted: another run is at work; "
                "nothing was promoted: wait until it has ended"
            )

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


def listed(settings: Params) -> dict[str, Path]:
    """What is kept of the refined model and its dataset, by the path in its folder."""
    kept = {paths.MANIFEST: paths.REFINED / paths.MANIFEST, "params.yaml": Path("params.yaml")}
    kept |= {"dvc.lock": _LOCK} if _LOCK.exists() else {}
    bundle = paths.MODELS / "bundle"
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    return kept | {path.relative_to(bundle).as_posix(): path for path in files}


def digest(files: dict[str, Path]) -> str:
    """Of the content of files, by their names; one that is missing counts as such."""
    return _hash({name: path for name, path in files.items() if path.is_file()})


def of_workspace(settings: Params, held: pd.DataFrame, seen: str = "") -> Candidate:
    """The refined model, its dataset, and its scores of the photos `held` out (see `promotion.held_out`).

    Args:
        seen: `digest` of `listed` files from before it was known that they belong together.

    Raises:
        UserError: the graph has not run.
    """
    contents.check(paths.MODELS / "bundle")
    files = listed(settings)
    wanted = {f"{INPUTS}/{read}/{name}" for read in settings.chosen_detector.reads for name in _INPUTS}
    inputs = {name: path for name, path in files.items() if name in wanted}
    shape = f"{settings.detector} {settings.dataset.image_size} {_fit(settings)} {_hash(inputs)}"
    record = Record("the new model", shape, _scores(settings, held))
    return Candidate(files, record, _facts(settings), seen)


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
    text = "\n".join(f"{name} {sha256_file(path)}" for name, path in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
