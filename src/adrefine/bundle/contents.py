"""bundle.json: what a bundle says of itself, and whether its files are whole.

Everything is JSON or a state dict read as data. Nothing in a bundle is ever run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from adrefine.errors import UserError
from adrefine.io import read_json, sha256_file

SCHEMA = 2  # raise it when a bundle of today could not be read by the code of yesterday
FILE = "bundle.json"
MODEL, INPUTS, PLACES, CARD = "model", "inputs", "places.pt", "README.md"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Part):
    """A score over `value` means defective.

    Attributes:
        target_fpr: share of good photos that may be rejected.
        photos: held-out photos that it was read off; `parts` of them different; `unlabelled` of them
            believed, not known, to be good.
        kept: whether so many can promise so low a rate; if not, it is the largest score of them.
    """

    value: float
    target_fpr: float
    photos: int
    parts: int
    unlabelled: int
    kept: bool


class MapScale(_Part):
    """Anomaly maps are divided by `limit`, one for the whole set, so that 1 is their threshold.

    Attributes:
        of: `places` or `detector`: whose maps.
        photos: held-out photos whose largest values it was read off, as the threshold of scores.
    """

    of: str
    limit: float
    photos: int


class Weights(_Part):
    """Weights of a frozen network, with their hash: `file` in the bundle, or of an installed `package`; with
    both, the package computes what the file holds."""

    file: str = ""
    package: str = ""
    version: str = ""
    sha256: str = ""


class Contents(_Part):
    """bundle.json.

    Attributes:
        adrefine: version that wrote it.
        detector, section: its name and its settings.
        alpha: weight of local against global maps, for detectors that have both.
        preparation: of photos, see `ingestion.preparation`.
        region: file that says what counts of them; "": all.
        seen: photos that trained: `photos`, `width` and `height` from to, `modes` (L grey, RGB colour).
        runtime: engine and precision of the frozen networks.
        inputs: what the detector reads; `shown` what its maps read beside.
        backbones: weights of the frozen backbone, by input; `model`: of one that the detector has of its own.
        dataset: `name`, hash of the refined manifest, photos that trained and that were removed.
        metrics: of the refined model on test photos, where those have labels.
        params: sections of params.yaml that decided on the model; empty in bundles of before.
        files: SHA-256 of every other file of the bundle.
    """

    schema_version: int = SCHEMA
    adrefine: str
    detector: str
    section: dict[str, Any]
    alpha: float
    threshold: Threshold
    map: MapScale
    preparation: dict[str, Any]
    region: str = ""
    seen: dict[str, Any]
    runtime: dict[str, Any]
    inputs: list[str]
    shown: list[str]
    backbones: dict[str, Weights]
    dataset: dict[str, Any]
    metrics: dict[str, float]
    params: dict[str, Any] = {}
    files: dict[str, str] = {}


def read(folder: Path) -> Contents:
    """What the bundle in `folder` says.

    Raises:
        UserError: there is none, or of a newer schema, or a damaged one.
    """
    if not (folder / FILE).is_file():
        beside = folder.parent / "bundle"
        there = (beside / FILE).is_file()
        hint = (
            f"take {beside}"
            if there
            else "`dvc repro` makes models/bundle, `adrefine promote` promoted/current"
        )
        raise UserError(f"{folder} holds no bundle (no {FILE}): {hint}")
    try:
        content = read_json(folder / FILE)
        version = int(content.get("schema_version", 0))
    except (OSError, ValueError, TypeError, AttributeError):
        raise UserError(f"{folder / FILE} is damaged: make the bundle again") from None
    if version > SCHEMA:
        raise UserError(
            f"{folder} is a bundle of schema {version}, this adrefine reads up to {SCHEMA}: install adrefine "
            f"{content.get('adrefine', 'of the machine that made it')} or newer"
        )
    try:
        return Contents.model_validate(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{folder / FILE} is damaged at `{place}`: make the bundle again") from None


def check(folder: Path) -> Contents:
    """`read`, with every file's hash compared.

    Raises:
        UserError: a file is missing or another one than was written; names it.
    """
    contents = read(folder)
    for name, digest in contents.files.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}, which is part of the bundle: copy the bundle again")
        if sha256_file(folder / name) != digest:
            raise UserError(f"{folder / name} was changed or damaged: copy the bundle again")
    return contents
