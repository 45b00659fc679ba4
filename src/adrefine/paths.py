"""Where every stage reads and writes, relative to the project root (docs/design.md: data contract)."""

from __future__ import annotations

import os
from pathlib import Path

from adrefine.errors import UserError

ROI = Path("data/roi")  # masks and polygons that `dataset.roi` may name; the user's
WEIGHTS = Path("data/weights")  # files that `embed.weights` and such may name; the user's
INGESTED = Path("data/ingested")
NOISY = Path("data/noisy")
SYNTHETIC = Path("data/synthetic")
PREPARED = Path("data/prepared")
FEATURES = "features"  # folder of PREPARED: pooled vectors of every image, view and scale, made by embed
PLACES = "places"  # folder of PREPARED: maps of places and a pooled vector of every image, made by embed
PIXELS = "pixels"  # folder of PREPARED: the distilled PDN and lists of the photos, made by pretrain_pdn
SELECTED = PREPARED / "selected.json"  # what of these the chosen detector reads, made by select
REFINED = Path("data/refined")
MODELS = Path("models")
TAUGHT = "taught"  # in models/refined: the model that a human's answers taught, if one was
REPORTS = Path("reports")
VALIDATION = REPORTS / "validation"
MANIFEST = "manifest.csv"
EVIDENCE = "evidence.csv"  # beside the refined manifest: what each voter says of each photo
PROMOTED = Path("promoted")  # models and datasets in use, one folder each; no stage's
REVIEW = Path("data/review.csv")  # the user's, never written by a stage
REVIEW_QUEUE = REFINED / "review_queue.csv"


def refuse_elsewhere(key: str, name: str, folder: Path) -> None:
    """Refuse a file that is not in the folder in which DVC would see it change.

    Raises:
        UserError: it is elsewhere; `key` is the setting that names it.
    """
    if folder.absolute() not in Path(os.path.abspath(name)).parents:
        raise UserError(
            f"{key} = {name}: DVC watches {folder} for it: put the file there and name it {folder}/…"
        )


def watched_weights(key: str, name: str | None) -> Path | None:
    """The file of weights that the setting `key` names, if it names one.

    Raises:
        UserError: it is not in WEIGHTS, or not there.
    """
    if not name:
        return None
    refuse_elsewhere(key, name, WEIGHTS)
    if not Path(name).is_file():
        raise UserError(f"{key} = {name} is missing: put the file there, or leave the key empty")
    return Path(name)


def side_cache(kind: str) -> Path:
    """Folder of the content-addressed cache `kind` (`ingest`, `features`): speed only, safe to delete.

    It lets a changed dataset redo the changed photos alone. ADREFINE_CACHE_DIR moves it.
    """
    return Path(os.environ.get("ADREFINE_CACHE_DIR", ".adrefine/cache")) / kind


def shared_cache(kind: str) -> Path:
    """As `side_cache`, of what a model needs wherever it is used: outside a project the user's own cache."""
    if "ADREFINE_CACHE_DIR" in os.environ or Path("dvc.yaml").exists():
        return side_cache(kind)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adrefine" / kind
