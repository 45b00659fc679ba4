"""What there is to say of each training photo of a version: where it is, whether it trains, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import datasets, params, paths, review
from adrefine.comparing.version import WORKSPACE, Version
from adrefine.comparing.words import EVIDENCE
from adrefine.manifest import DEFECT, GOOD
from adrefine.places import votes

KEPT, REMOVED, ALL = "kept", "removed", "all"
COLUMNS = (
    *("image_id", "photo", "image", "width", "height", "kept", "weight", "score", "limit", "round", "reason"),
    *("verdict", "note", "reviewer", "time", "label", *votes.COLUMNS),
)
_LABELS = {GOOD: "good", DEFECT: "defective"}
Photo = dict[str, Any]


def of(version: Version, which: str = ALL) -> list[Photo]:
    """The training photos, COLUMNS of each, sorted by id. Paths are absolute; None or "": it is not known.

    `photo` is the file as it was taken, `image` the one that trains; `score`, `limit` are those of the last
    round that scored it, `round` the one that it went in; `verdict`, `note` are a human's; what each voter
    says is last (`votes.COLUMNS`), None where no evidence was gathered.

    Args:
        which: KEPT, REMOVED or ALL.
    """
    table = version.photos
    if which != ALL:
        table = table[(table["kept"] == 1) == (which == KEPT)]
    folder, answers = _folder(version), _answers(version)
    return [
        _photo(str(image_id), row, folder, answers) | votes.cells(version.votes.get(str(image_id)))
        for image_id, row in table.iterrows()
    ]


def _folder(version: Version) -> Path:
    """Where the photos of the version's settings are; where it has none, those of today."""
    settings = params.parse(version.settings) if version.settings else params.load()
    return datasets.place(settings.dataset).absolute()


def _answers(version: Version) -> dict[str, review.Answer]:
    """Who answered, and when: data/review.csv has it, as it is now."""
    return review.read(paths.REVIEW) if version.name == WORKSPACE else {}


def _photo(image_id: str, row: pd.Series, folder: Path, answers: dict[str, review.Answer]) -> Photo:
    verdict = _text(row["reviewed"])
    answer = answers.get(image_id)
    who = answer if answer and answer.verdict == verdict else review.Answer(verdict)
    reason = _text(row["reason"])
    return {
        "image_id": image_id,
        "photo": str(folder / row["source"]) if row["source"] else "",
        "image": str(Path(row["path"]).absolute()),
        "width": _whole(row.get("width")),
        "height": _whole(row.get("height")),
        "kept": bool(row["kept"] == 1),
        "weight": _number(row["weight"]),
        "score": _number(row["score"]),
        "limit": _number(row["threshold"]),
        "round": _whole(row["removed_round"]),
        "reason": EVIDENCE.get(reason, reason),
        "verdict": verdict,
        "note": _text(row.get("review_note")),
        "reviewer": who.reviewer,
        "time": who.time,
        "label": _LABELS.get(row["label"], ""),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def _whole(value: Any) -> int | None:
    return None if value is None or not np.isfinite(value) else int(value)
