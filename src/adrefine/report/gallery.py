"""Which photos the report shows, and why each is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from adrefine.manifest import DEFECT, GOOD
from adrefine.places.votes import Votes
from adrefine.report import pictures
from adrefine.report.data import ReportData
from adrefine.report.originals import AT_WORKING_SIZE, Originals
from adrefine.report.words import flags, good, hidden, in_order_of_removal, number
from adrefine.review import KEEP, VERDICTS

_SIDES = (256, 192, 128, 96)  # thumbnail sides in pixels; the first that fits is taken
_BUDGET = 5_500_000  # characters of all thumbnails, so that the page stays under 8 MB


@dataclass(frozen=True)
class Card:
    """A photo of the gallery. `tone` colours the badge: defect | good | empty; `bar` and `tick`: 0 to 100;
    `answers`: command lines to copy; `link`: opens the photo; `votes`: what each voter says, if asked."""

    name: str
    photo: str | None
    overlay: str | None
    outlined: bool
    badge: str
    tone: str
    why: str
    ratio: str
    bar: float | None
    tick: float
    answers: tuple[str, ...] = ()
    image_id: str = ""
    link: str = ""
    votes: Votes | None = None


@dataclass(frozen=True)
class Section:
    """A group of photos; `total` counts those beyond the limit too."""

    key: str
    title: str
    intro: str
    total: int
    cards: list[Card]


# key: title, introduction. In the order of the page.
_SECTIONS = {
    "found": (
        "Hidden defects found",
        "Defective photos that hid among the training photos and were taken out, in order of removal.",
    ),
    "lost": (
        "Good photos removed",
        "Labelled good, but taken out. Either the removal or the label is wrong: look twice.",
    ),
    "removed": (
        "Removed photos",
        "Taken out because they look unlike the others, in order of removal. Please check them.",
    ),
    "doubtful": (
        "Doubtful photos: your answer helps most",
        "Training photos, kept or removed, of which the strategy is least sure. The most doubtful is first. "
        "Look, copy one of the two lines into a terminal, and run dvc repro after some answers.",
    ),
    "suspicious": (
        "Most suspicious photos that stayed",
        "Photos still used for training, the highest score first.",
    ),
    "overlooked": (
        "Hidden defects that stayed",
        "Defective photos still used for training, other than those just shown.",
    ),
    "missed": (
        "Test defects missed",
        "Defective test photos that the refined detector accepts, the lowest score first.",
    ),
    "alarms": (
        "False alarms in the test",
        "Good test photos that the refined detector rejects, the highest score first.",
    ),
}
_TESTED = ("missed", "alarms")


def select(data: ReportData, limit: int) -> dict[str, pd.DataFrame]:
    """All rows of each non-empty section, the ones to show (at most `limit`) first."""
    train = data.train.assign(hidden=hidden(data.train), good=good(data.train))
    if "score" not in train:
        train["score"] = np.nan
    removed = in_order_of_removal(train)
    stayed = train[~flags(train, "kept", 0)].dropna(subset=["score"])
    stayed = stayed.sort_values(["score", "image_id"], ascending=[False, True])
    doubtful = _doubtful(data, train)
    asked = set(doubtful["image_id"].head(limit))
    suspicious = stayed[~stayed["image_id"].isin(asked)]  # no photo is shown twice ...
    if suspicious.empty and len(removed):  # ... but in a small set, where both orders say something
        suspicious = stayed
    shown = asked | set(suspicious["image_id"].head(limit))
    known = removed["hidden"] | removed["good"]
    sections = {
        "found": removed[removed["hidden"]],
        "lost": removed[removed["good"]],
        "removed": removed[~known],
        "doubtful": doubtful,
        "suspicious": suspicious,
        "overlooked": stayed[stayed["hidden"] & ~stayed["image_id"].isin(shown)],
        **_test_errors(data),
    }
    return {key: sections[key] for key in _SECTIONS if len(sections.get(key, ()))}


def needed_maps(data: ReportData, limit: int) -> list[str]:
    """Sorted ids of the photos that the gallery will show: only their anomaly maps are worth computing."""
    return sorted({name for rows in select(data, limit).values() for name in rows["image_id"].head(limit)})


def sections(
    data: ReportData,
    limit: int,
    originals: Originals = AT_WORKING_SIZE,
    votes: Mapping[str, Votes] = MappingProxyType({}),
) -> list[Section]:
    """The gallery, thumbnails included; they shrink until the page is of reasonable size.

    Args:
        votes: what each voter says of a photo, by image_id.
    """
    chosen = select(data, limit) if limit else {}
    usual = float(np.median([pictures.contrast(heat) for heat in data.maps.values()])) if data.maps else 0.0
    drawn: list[Section] = []
    for side in _SIDES:
        artist = _Artist(data.maps, usual, side, originals)
        drawn = [_section(key, rows, limit, artist, votes) for key, rows in chosen.items()]
        if (
            sum(len(card.photo or "") + len(card.overlay or "") for part in drawn for card in part.cards)
            <= _BUDGET
        ):
            break
    return drawn


def shown_rows(data: ReportData, limit: int) -> list[dict[Any, Any]]:
    """The rows of all photos that the gallery shows, each once."""
    rows = {
        row["image_id"]: row
        for part in select(data, limit).values()
        for row in part.head(limit).to_dict("records")
    }
    return [rows[name] for name in sorted(rows)]


def _doubtful(data: ReportData, train: pd.DataFrame) -> pd.DataFrame:
    if data.queue.empty:
        return train.iloc[:0]
    return data.queue[["image_id", "reason"]].merge(
        train.drop(columns="reason", errors="ignore"), on="image_id"
    )


def _test_errors(data: ReportData) -> dict[str, pd.DataFrame]:
    model = next(
        (name for name in ("refined", "initial") if name in data.test and name in data.thresholds), None
    )
    if model is None or "label" not in data.test:
        return {}
    threshold = data.thresholds[model]
    test = data.test.assign(
        score=data.test[model], threshold=threshold, hidden=False, good=data.test["label"] == GOOD
    ).sort_values(["score", "image_id"])
    over = test["score"] > threshold
    return {"missed": test[(test["label"] == DEFECT) & ~over], "alarms": test[test["good"] & over].iloc[::-1]}


@dataclass(frozen=True)
class _Artist:
    """Draws a row's photo and overlay as data URIs, `side` pixels at most."""

    maps: dict[str, np.ndarray]
    usual: float  # see pictures.overlay
    side: int
    originals: Originals

    def __call__(self, row: dict[Any, Any]) -> tuple[str | None, str | None, bool]:
        """Photo and overlay, None where there is none, and whether the true defect is outlined."""
        photo, heat = pictures.thumbnail(Path(_text(row, "path")), self.side), self.maps.get(row["image_id"])
        if photo is None or heat is None:
            return (None if photo is None else pictures.data_uri(photo)), None, False
        mask = _text(row, "mask_path")
        border = pictures.outline(Path(mask), photo.shape[:2]) if mask else None
        drawn = pictures.overlay(photo, heat, self.usual, border)
        return pictures.data_uri(photo), pictures.data_uri(drawn), border is not None


def _section(
    key: str, rows: pd.DataFrame, limit: int, artist: _Artist, votes: Mapping[str, Votes]
) -> Section:
    shown = rows.head(limit).to_dict("records")
    ratios = [_ratio(row) for row in shown]
    # One scale a section, so that its bars compare; a single extreme score does not flatten the others.
    longest = max([1.5, *(min(ratio, 4.0) for ratio in ratios if ratio is not None)])
    cards = [_card(key, row, ratio, longest, artist) for row, ratio in zip(shown, ratios, strict=True)]
    cards = [replace(card, votes=votes.get(card.image_id)) for card in cards]
    title, intro = _SECTIONS[key]
    # Of rankings of all photos, "the first 24 of 300" would only say how many there are.
    return Section(key, title, intro, len(shown) if key in ("suspicious", "doubtful") else len(rows), cards)


def _card(key: str, row: dict[Any, Any], ratio: float | None, longest: float, artist: _Artist) -> Card:
    photo, overlay, outlined = artist(row)
    badge, tone = _badge(key, row)
    return Card(
        name=_text(row, "source") or Path(_text(row, "path")).name or str(row["image_id"]),
        photo=photo,
        overlay=overlay,
        outlined=outlined,
        badge=badge,
        tone=tone,
        why=_why(key, row),
        ratio="" if ratio is None else f"{ratio:.2f} × {'threshold' if key in _TESTED else 'limit'}",
        bar=None if ratio is None else round(100 * min(max(ratio, 0.0) / longest, 1.0), 1),
        tick=round(100 / longest, 1),
        answers=tuple(f"adrefine review {row['image_id']} {verdict}" for verdict in VERDICTS)
        if key == "doubtful"
        else (),
        image_id=str(row["image_id"]),
        link=artist.originals.link(row),
    )


def _badge(key: str, row: dict[Any, Any]) -> tuple[str, str]:
    kind = _text(row, "defect_type")
    detail = f": {kind}" if kind and kind not in ("good", "defect") else ""
    if key == "missed":
        return f"missed defect{detail}", "defect"
    if key == "alarms":
        return "good (false alarm)", "good"
    if row["hidden"]:
        return f"hidden defect{detail}", "defect"
    if row["good"]:
        return ("good (false removal)" if key == "lost" else "labelled good"), "good"
    return "", ""


def _why(key: str, row: dict[Any, Any]) -> str:
    score, limit = number(float(row["score"])), float(row.get("threshold", np.nan))
    if key in _TESTED:
        return f"Score {score}, alarm threshold {number(limit)}."
    if key == "doubtful":
        return f"{_text(row, 'reason').capitalize()}."
    if decided := _text(row, "reviewed"):
        note = _text(row, "review_note")
        return f"{'Kept' if decided == KEEP else 'Removed'} by you{f': {note}' if note else ''}."
    if key in ("found", "lost", "removed"):
        when = row.get("removed_round", np.nan)
        start = f"Round {int(when)}: score" if pd.notna(when) else "Score"
        return f"{start} {score}, limit {number(limit)}." if np.isfinite(limit) else f"{start} {score}."
    if not np.isfinite(limit):
        return f"Score {score}."
    return f"Score {score}, limit {number(limit)}{': still over it' if float(row['score']) > limit else ''}."


def _ratio(row: dict[Any, Any]) -> float | None:
    score, limit = float(row["score"]), float(row.get("threshold", np.nan))
    return score / limit if np.isfinite(score) and np.isfinite(limit) and limit > 0 else None


def _text(row: dict[Any, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
