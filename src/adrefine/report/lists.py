"""The report's full lists: what is out or counts for less, held-out photos, duplicates, files nobody read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine.io import read_csv
from adrefine.manifest import DEFECT, GOOD, UNKNOWN
from adrefine.places import votes
from adrefine.places.votes import Votes
from adrefine.report.data import ReportData
from adrefine.report.originals import Originals
from adrefine.report.words import number

MOST = 3000  # rows of a list
_REASONS = {**votes.NAMES, "you": "you"}
_LABELS = {GOOD: "good", DEFECT: "defective", UNKNOWN: ""}
_TEXT = dict.fromkeys(("source", "reason", "image_id", "other_source", "kind", "voter"), str)
_UNREAD = ("is not read", "a picture with the suffix")  # of ignored.csv: pictures that somebody may miss


@dataclass(frozen=True)
class Aside:
    """What ingest and the evidence say beside the manifest.

    Attributes:
        unread: source, reason. duplicates: of duplicates.csv. held: image_id, score, rank of held-out photos.
        hints: of hints.csv. votes: what each voter says of a photo, by image_id.
    """

    unread: pd.DataFrame = field(default_factory=pd.DataFrame)
    duplicates: pd.DataFrame = field(default_factory=pd.DataFrame)
    held: pd.DataFrame = field(default_factory=pd.DataFrame)
    hints: pd.DataFrame = field(default_factory=pd.DataFrame)
    votes: Mapping[str, Votes] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """Text, what it sorts by where that is another thing, and what it opens."""

    text: str
    key: str = ""
    href: str = ""


@dataclass(frozen=True)
class Listing:
    """A sortable table; `total` counts rows beyond the limit too."""

    key: str
    title: str
    intro: str
    heads: list[str]
    rows: list[list[Cell]]
    total: int


def find(ingested: Path, evidence: Path) -> Aside:
    """From the files of ingest and refine; what is not there is empty."""
    held = pd.DataFrame(columns=["image_id", "score", "rank"])
    if evidence.is_file():
        table = read_csv(evidence, ("image_id", "held_out", "voter", "score", "rank"), dtype=_TEXT)
        held = table[(table["held_out"] == 1) & (table["voter"] == "together")][["image_id", "score", "rank"]]
    told = votes.read(evidence)
    return Aside(unread(ingested), _table(ingested, "duplicates"), held, _table(ingested, "hints"), told)


def unread(ingested: Path) -> pd.DataFrame:
    """Source and reason of the files that no photo came of: quarantined ones, and pictures of a kind that is
    not read, such as HEIC without its extra."""
    nothing = pd.DataFrame(columns=["source", "reason"])
    quarantined, ignored = (_table(ingested, name) for name in ("quarantine", "ignored"))
    if len(ignored):
        ignored = ignored[ignored["reason"].map(lambda reason: any(word in reason for word in _UNREAD))]
    there = [table for table in (quarantined, ignored) if len(table)]
    return pd.concat(there, ignore_index=True) if there else nothing


def _table(ingested: Path, name: str) -> pd.DataFrame:
    file = ingested / f"{name}.csv"
    return read_csv(file, dtype=_TEXT, keep_default_na=False) if file.is_file() else pd.DataFrame()


def listings(data: ReportData, aside: Aside, originals: Originals, photos: pd.DataFrame) -> list[Listing]:
    """The lists that have a row. photos: all rows of the manifest, for the names of held-out ones."""
    made = [
        _out(data.train, originals, aside.votes),
        _held(aside, photos, originals),
        _duplicates(aside, photos, originals),
        _hints(aside, photos, originals),
    ]
    rows = [[Cell(row["source"]), Cell(row["reason"])] for row in aside.unread.to_dict("records")]
    intro = "Files that no photo came of: quarantined ones, and pictures of a kind that is not read."
    made.append(_listing("unread", "Files that were not read", intro, ["file", "why"], rows))
    return [one for one in made if one.rows]


def _out(train: pd.DataFrame, originals: Originals, told: Mapping[str, Votes]) -> Listing:
    weight = train["weight"] if "weight" in train else pd.Series(1.0, train.index)
    out = train[(train["kept"] == 0) | (weight < 0.5)].assign(weight=weight)
    labelled = bool((train["label"] != UNKNOWN).any())
    heads = ["photo", "what became of it", "score / limit", "round", "why", *_heads(told)]
    heads += ["label"] if labelled else []
    rows = []
    for row in out.to_dict("records"):
        gone = row["kept"] == 0
        ratio = (
            float(row["score"]) / float(row["threshold"]) if float(row["threshold"] or 0) else float("nan")
        )
        why, note = str(row.get("reason") or ""), str(row.get("review_note") or "")
        cells = [
            _photo(row, originals),
            Cell(
                "removed" if gone else f"counts for {row['weight']:.0%}",
                f"{0 if gone else row['weight']:.4f}",
            ),
            Cell("" if pd.isna(ratio) else number(ratio), f"{ratio:.6g}"),
            Cell("" if pd.isna(row["removed_round"]) else f"{row['removed_round']:.0f}"),
            Cell(": ".join(filter(None, [_REASONS.get(why, why), note]))),
            *_votes(told, row["image_id"]),
        ]
        rows.append(cells + ([Cell(_LABELS.get(row["label"], ""))] if labelled else []))
    rows.sort(key=lambda cells: (cells[1].key, cells[0].text))
    title = "Removed photos, and those that count for less"
    intro = f"Nothing is deleted: a removed photo stays on disk.{_voters(told)}"
    return _listing("out", title, intro, heads, rows)


def _held(aside: Aside, photos: pd.DataFrame, originals: Originals) -> Listing:
    rows, told = [], aside.votes
    if len(aside.held):
        table = aside.held.merge(photos, on="image_id", suffixes=("", "_own")).sort_values(
            "score", ascending=False
        )
        rows = [
            [
                _photo(row, originals),
                Cell(number(float(row["score"])), f"{row['score']:.6g}"),
                Cell(str(row["rank"])),
                *_votes(told, row["image_id"]),
                Cell("" if pd.isna(row.get("reviewed")) else str(row.get("reviewed") or "")),
            ]
            for row in table.to_dict("records")
        ]
    intro = "They set the alarm threshold. Score: robust deviations, by models that did not see them. "
    intro += f"Rank: where it would stand among the training photos.{_voters(told)}"
    heads = ["photo", "score", "rank", *_heads(told), "your answer"]
    return _listing("held", "Held-out photos", intro, heads, rows)


def _heads(told: Mapping[str, Votes]) -> list[str]:
    """A column for each voter, and one for the most unusual place; none where nobody voted."""
    return [*(votes.NAMES[name] for name in next(iter(told.values())).by), "oddest place"] if told else []


def _votes(told: Mapping[str, Votes], image_id: str) -> list[Cell]:
    """Score and rank by each voter, and the most unusual place, one cell for each of `_heads`."""
    if image_id not in told:
        return [Cell("") for _ in _heads(told)]
    one = told[image_id]
    by = one.by.values()
    cells = [Cell(f"{vote.score:.1f} ({vote.rank})", f"{vote.score:.6g}") for vote in by]
    return [*cells, Cell(f"row {one.row}, column {one.column}", f"{one.row * 1000 + one.column}")]


def _voters(told: Mapping[str, Votes]) -> str:
    """What the voters' columns mean, and their weights, which are the same for all photos."""
    if not told:
        return ""
    one = next(iter(told.values()))
    weights = ", ".join(f"{votes.NAMES[name]} {vote.weight:.2f}" for name, vote in one.by.items())
    return (
        " Voters look at each photo. Their columns say how far it is over the median photo, and in brackets "
        f"its rank among {one.of} training photos. Their weights: {weights}."
    )


def _duplicates(aside: Aside, photos: pd.DataFrame, originals: Originals) -> Listing:
    paths = dict(zip(photos["image_id"], photos["path"], strict=True))
    rows = [
        [
            _photo({**row, "path": paths.get(row["image_id"], "")}, originals),
            Cell(row["other_source"]),
            _similarity(row),
            Cell("test and training" if row["leak"] else ""),
        ]
        for row in aside.duplicates.to_dict("records")
    ]
    heads = ["photo", "is like", "similarity", "leak"]
    intro = "The same photo twice is used once. Near duplicates stay."
    return _listing("duplicates", "Duplicates", intro, heads, rows)


def _hints(aside: Aside, photos: pd.DataFrame, originals: Originals) -> Listing:
    paths = dict(zip(photos["image_id"], photos["path"], strict=True))
    rows = [
        [_photo({**row, "path": paths.get(row["image_id"], "")}, originals), Cell(row["hint"])]
        for row in aside.hints.to_dict("records")
    ]
    intro = (
        "Slips of the camera, perhaps. They are no reason to remove a photo, and none was removed for them."
    )
    return _listing("hints", "Blur, exposure, size", intro, ["photo", "hint"], rows)


def _similarity(row: dict[Any, Any]) -> Cell:
    shown = f"{row['similarity']:.4f}"
    return Cell("the same" if row["kind"] == "exact" else shown, shown)


def _photo(row: dict[Any, Any], originals: Originals) -> Cell:
    source = row.get("source")
    name = source if isinstance(source, str) and source else str(row["image_id"])
    return Cell(name, href=originals.link(row))


def _listing(key: str, title: str, intro: str, heads: list[str], rows: list[list[Cell]]) -> Listing:
    return Listing(key, title, intro, heads, rows[:MOST], len(rows))
