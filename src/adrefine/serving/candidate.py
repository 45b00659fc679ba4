"""The model and dataset in the workspace, as something that may be promoted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest, paths
from adrefine.datasets.files import from_inbox
from adrefine.dvc_driver import processes
from adrefine.errors import UserError
from adrefine.io import read_json, sha256_file
from adrefine.params import Params
from adrefine.serving.promotion import LIKELIHOOD, Record

MODEL, INPUTS = "model", "inputs"
_INPUTS = ("meta.json", "pdn.pt")  # of what the detector reads: how a photo becomes an input of the model
_LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Candidate:
    """A refined model and its dataset.

    Attributes:
        files: what is kept of it, by the path in its folder.
        record: its scores of the held-out photos.
        facts: what promotion.json says of it beside the decision.
    """

    files: dict[str, Path]
    record: Record
    facts: dict[str, Any]

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


def of_workspace(settings: Params, held: pd.DataFrame) -> Candidate:
    """The refined model, its dataset, and its scores of the photos `held` out (see `promotion.held_out`).

    Raises:
        UserError: the graph has not run.
    """
    found = {paths.MANIFEST: paths.REFINED / paths.MANIFEST, "params.yaml": Path("params.yaml")}
    found |= {"dvc.lock": _LOCK} if _LOCK.exists() else {}
    found |= {f"{MODEL}/{path.name}": path for path in sorted((paths.MODELS / "refined").glob("*"))}
    places = [f"{read}/{name}" for read in settings.chosen_detector.reads for name in _INPUTS]
    inputs = {f"{INPUTS}/{name}": file for name in places if (file := paths.PREPARED / name).exists()}
    shape = f"{settings.detector} {settings.dataset.image_size} {_fit(settings)} {_hash(inputs)}"
    record = Record("the new model", shape, _scores(settings, held))
    return Candidate(found | inputs, record, _facts(settings))


def _fit(settings: Params) -> str:
    """How the photos were prepared; what `auto` decides can change as photos come, and the scores with it."""
    if settings.dataset.fit != "auto":
        return settings.dataset.fit
    return str(read_json(paths.INGESTED / "summary.json")["fit"])


def _scores(settings: Params, held: pd.DataFrame) -> pd.DataFrame:
    """image_id, score, likelihood (NaN for a detector without one)."""
    from adrefine.detectors.base import Images
    from adrefine.detectors.training import load

    model = load(settings, paths.MODELS / "refined")
    assert model is not None  # only the oracle may be absent
    model.set_alpha(settings.evaluate.alpha)
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
