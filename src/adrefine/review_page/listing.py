"""The grid: all photos, filtered and sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import manifest, paths
from adrefine.io import read_csv
from adrefine.report.lists import unread
from adrefine.review import Answer

DOUBTFUL = (0.1, 0.9)  # chance to be defective of a photo that an answer would tell much of
_LIKE = {"exact": "the same as", "near": "nearly the same as"}
_LEAK = ": one of them is a test photo"
SORTS = ("suspicious", "ordinary", "name", "answered")


@dataclass(frozen=True)
class Photos:
    """The training photos, then the held-out ones, as arrays of one length.

    Attributes:
        ids, names: what they are called; names are files below dataset.root.
        held: whether it is held out. kept: 1, 0, or NaN where no run decided yet. weight: NaN where none.
        rows: by id, the place in the arrays.
    """

    ids: list[str]
    names: list[str]
    held: np.ndarray
    kept: np.ndarray
    weight: np.ndarray
    rows: dict[str, int]

    @classmethod
    def of(cls, noisy: pd.DataFrame, decided: pd.DataFrame | None, order: list[str]) -> Photos:
        """The photos `order` of `noisy`, and what the last run made of them (`data/refined/manifest.csv`)."""
        table = noisy.set_index("image_id").loc[order]
        kept, weight = np.full(len(order), np.nan), np.full(len(order), np.nan)
        if decided is not None:
            rows = decided.set_index("image_id").reindex(order)
            kept = rows["kept"].to_numpy(float, copy=True)
            weight = rows["weight"].to_numpy(float) if "weight" in rows else weight
        names = [
            source or Path(path).name for source, path in zip(table["source"], table["path"], strict=True)
        ]
        held = (table["split"] == "val").to_numpy()
        kept[held] = np.nan
        return cls(order, names, held, kept, weight, {name: row for row, name in enumerate(order)})


@dataclass(frozen=True)
class Now:
    """What is true at this moment, in the order of `Photos`: `strength` in robust deviations, and `chance`
    to be defective (NaN where it cannot be said); the photos that the next run leaves out, and those that may
    be a rare but good variant."""

    strength: np.ndarray
    chance: np.ndarray
    answers: Mapping[str, Answer]
    leaving: frozenset[str]
    variants: frozenset[str]


def filters(photos: Photos, now: Now) -> dict[str, np.ndarray]:
    """By name, which of the photos (n,) each filter shows."""
    answered = np.array([name in now.answers for name in photos.ids], dtype=bool)
    low, high = DOUBTFUL
    return {
        "all": np.ones(len(photos.ids), bool),
        "kept": photos.kept == 1,
        "removed": photos.kept == 0,
        "doubtful": ~answered & (now.chance >= low) & (now.chance <= high),
        "a variant?": ~answered & np.array([name in now.variants for name in photos.ids], dtype=bool),
        "answered": answered,
        "leaving": np.array([name in now.leaving for name in photos.ids], dtype=bool),
        "held out": photos.held,
    }


def ordered(photos: Photos, now: Now, rows: np.ndarray, sort: str) -> np.ndarray:
    """The photos `rows` (places) in the order `sort`, one of SORTS."""
    if sort == "name":
        return np.array(sorted(rows.tolist(), key=lambda row: photos.names[row]), dtype=int)
    if sort == "answered":
        place = {name: number for number, name in enumerate(now.answers)}
        return np.array(sorted(rows.tolist(), key=lambda row: -place.get(photos.ids[row], -1)), dtype=int)
    strength = np.nan_to_num(now.strength[rows], nan=-np.inf)
    return np.asarray(rows[np.argsort(strength if sort == "ordinary" else -strength, kind="stable")])


def cell(photos: Photos, now: Now, row: int) -> dict[str, Any]:
    """What the grid shows of a photo."""
    name, kept, weight = photos.ids[row], photos.kept[row], photos.weight[row]
    answer = now.answers.get(name)
    state = "held out" if photos.held[row] else "" if np.isnan(kept) else "kept" if kept else "removed"
    if state == "kept" and weight < 1:
        state = f"counts for {weight:.0%}" if weight > 0.01 else "counts for next to nothing"
    return {
        "id": name,
        "name": photos.names[row],
        "score": _number(now.strength[row]),
        "chance": _number(now.chance[row]),
        "state": state,
        "answer": answer.verdict if answer else "",
        "note": answer.note if answer else "",
        "leaving": name in now.leaving,
    }


def duplicates(photos: Photos) -> list[dict[str, Any]]:
    """The files that ingest found twice, or nearly so; the rows of data/ingested/duplicates.csv."""
    file = paths.INGESTED / "duplicates.csv"
    if not file.exists():
        return []
    text = dict.fromkeys(("image_id", "source", "kind", "other_source"), str)
    table = read_csv(file, manifest.DUPLICATE_COLUMNS, dtype=text, keep_default_na=False)
    return [
        {
            "id": row["image_id"] if row["image_id"] in photos.rows else "",
            "name": row["source"],
            "note": f"{_LIKE[row['kind']]} {row['other_source']}{_LEAK if row['leak'] else ''}",
        }
        for row in table.to_dict("records")
    ]


def quarantined() -> list[dict[str, Any]]:
    """The files that nobody could read, and why; pictures of a kind that is not read among them."""
    table = unread(paths.INGESTED)
    return [{"id": "", "name": row["source"], "note": row["reason"]} for row in table.to_dict("records")]


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
