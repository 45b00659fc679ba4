"""A difference as lines for a terminal, as a table and as JSON."""

from __future__ import annotations

import csv
import io
from typing import Any

from adrefine.cells import tame
from adrefine.comparing.difference import KINDS, Difference
from adrefine.places import votes
from adrefine.text import counted

SHOWN = 15  # photos of each kind in the terminal
EVIDENCE = {**votes.NAMES, "you": "you"}  # reasons of refine, in words
COLUMNS = (
    *("image_id", "source", "changes", "kept_a", "kept_b", "weight_a", "weight_b", "score_a", "score_b"),
    *("rank_a", "rank_b", "round_a", "round_b", "reason_a", "reason_b", "answer_a", "answer_b"),
    *("label_a", "label_b", *(f"{name}_{side}" for name in votes.COLUMNS for side in "ab")),
)


def lines(difference: Difference, shown: int = SHOWN) -> list[str]:
    """For people: figures, settings, photos by the kind of their change."""
    a, b = difference.a.name, difference.b.name
    wide = max(len(a), len(b), 10)
    text = [f"{'':24}{a:>{wide}}  {b:>{wide}}"]
    text += [
        f"{name:24}{_figure(name, x):>{wide}}  {_figure(name, y):>{wide}}"
        for name, x, y in difference.measures
    ]
    text += [f"{key}: {x} -> {y}" for key, x, y in difference.settings]
    if not difference.rows:
        return [*text, "the same photos are kept, with the same labels and answers"]
    for kind in KINDS:
        rows = difference.of_kind(kind)
        if rows:
            text += ["", f"{difference.title(kind)}: {counted(len(rows), 'photo')}"]
            text += [line for row in rows[:shown] for line in _photo(row)]
            text += [f"  ... and {len(rows) - shown} more (--csv)"] if len(rows) > shown else []
    return text


def _photo(row: dict[str, Any]) -> list[str]:
    """A line, and one with what the voters say where they said something."""
    first = f"  {row['image_id'][:16]:16}  {described(row)}  {row['source']}"
    return [first, *([f"{'':20}{row['votes']}"] if row["votes"] else [])]


def described(row: dict[str, Any]) -> str:
    """Scores, ranks and why, of both versions."""
    scores = " -> ".join(_units(row[f"score_{side}"]) for side in "ab")
    ranks = " -> ".join("-" if row[f"rank_{side}"] is None else str(row[f"rank_{side}"]) for side in "ab")
    return ", ".join([f"score {scores}", f"rank {ranks}", *why(row)])


def why(row: dict[str, Any]) -> list[str]:
    """Why a photo is out where it is, in which round, and what else changed."""
    reasons = []
    for side in "ab":
        if row[f"kept_{side}"] == 0:
            reason, number = row[f"reason_{side}"], row[f"round_{side}"]
            out = f"out in round {number}" if number else "out"
            reasons.append(f"{out}: {EVIDENCE.get(reason, reason)}" if reason else out)
    for name in ("answer", "label"):
        one, other = row[f"{name}_a"], row[f"{name}_b"]
        if name in row["changes"]:
            reasons.append(f"{name} {one or 'none'} -> {other or 'none'}")
    if {"less", "more"} & set(row["changes"]):
        reasons.append(f"weight {row['weight_a']:.2f} -> {row['weight_b']:.2f}")
    return reasons


def as_json(difference: Difference) -> dict[str, Any]:
    """For programs."""
    counts = {kind: len(difference.of_kind(kind)) for kind in KINDS}
    return {
        "a": difference.a.name,
        "b": difference.b.name,
        "counts": counts,
        "measures": {name: {"a": x, "b": y} for name, x, y in difference.measures},
        "settings": {key: {"a": x, "b": y} for key, x, y in difference.settings},
        "photos": difference.rows,
    }


def as_csv(difference: Difference) -> str:
    """A row for each photo that differs, COLUMNS; text that a spreadsheet would run is tamed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in difference.rows:
        cells = [" ".join(row[name]) if name == "changes" else row[name] for name in COLUMNS]
        writer.writerow(
            ["" if cell is None else tame(cell) if isinstance(cell, str) else cell for cell in cells]
        )
    return text.getvalue()


def _units(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if name in ("photos", "kept") else f"{value:.3f}"
