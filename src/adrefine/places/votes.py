"""What each voter says of a photo, for people to read: score, weight, rank, the place that gave it away.

`places.evidence` makes it, data/refined/evidence.csv has it of every training and held-out photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adrefine.io import read_csv

if TYPE_CHECKING:
    from adrefine.places.evidence import Evidence
    from adrefine.places.out_of_fold import Array
    from adrefine.places.voters import Voter

NAMES = {  # of the voters, in words
    "places": "one place",
    "pooled": "as a whole",
    "families": "beside other families",
    "own": "once learned",
    "discriminator": "like a made defect",
}
COLUMNS = (
    *(f"{name}_{figure}" for name in NAMES for figure in ("score", "weight", "rank")),
    *("places_row", "places_column"),
)
_READ = ("image_id", "held_out", "voter", "weight", "rank", "score", "row", "column")


class Vote(NamedTuple):
    """Of one voter: `score` in its own units (0 is the median photo), its `weight`, and the photo's `rank` by
    this score among the training photos, 1 is the most suspicious; where a held-out photo would stand."""

    score: float
    weight: float
    rank: int


@dataclass(frozen=True)
class Votes:
    """On one photo.

    Attributes:
        by: by the voter's name. of: how many training photos were ranked.
        row, column: the most unusual place, counted from 1.
    """

    by: Mapping[str, Vote]
    of: int
    row: int
    column: int

    def cells(self) -> dict[str, float | int]:
        """For programs, COLUMNS."""
        told: dict[str, float | int] = {"places_row": self.row, "places_column": self.column}
        for name, vote in self.by.items():
            told |= {f"{name}_score": round(vote.score, 4), f"{name}_weight": round(vote.weight, 4)}
            told[f"{name}_rank"] = vote.rank
        return told

    def loudest(self) -> str:
        """Name of the voter that says most against the photo."""
        return max(self.by, key=lambda name: self.by[name].weight * self.by[name].score)

    def spoken(self) -> str:
        """Each voter: `one place: score 4.2, rank 3 of 191, weight 0.61; as a whole: 3.1, 9, 0.39`."""
        return "; ".join(
            f"{NAMES[name]}: {', '.join(_facts(vote, self.of if number == 0 else 0))}"
            for number, (name, vote) in enumerate(self.by.items())
        )

    def heads(self) -> list[str]:
        """What the cells of `rows` are."""
        return ["looked at", "score", f"rank of {self.of}", "weight"]

    def rows(self) -> list[list[str]]:
        """For a small table, a row for each voter."""
        return [[NAMES[name], *_facts(vote, 0)] for name, vote in self.by.items()]

    def line(self) -> str:
        """`spoken`, and the most unusual place."""
        return f"{self.spoken()}; oddest at row {self.row}, column {self.column}"


def cells(votes: Votes | None) -> dict[str, float | int | None]:
    """Of `Votes.cells`, None each where nobody voted."""
    return {**dict.fromkeys(COLUMNS), **(votes.cells() if votes else {})}


def change(one: Votes | None, other: Votes | None) -> str:
    """Votes of two versions in a line: what is the same in both is said once; empty where no one voted."""
    if one is None or other is None or one == other:
        there = other or one
        return there.line() if there else ""
    told = [name for name in NAMES if name in one.by or name in other.by]
    parts = []
    for number, name in enumerate(told):
        was, now = (
            _facts(votes.by[name], 0 if number else votes.of) if name in votes.by else []
            for votes in (one, other)
        )
        parts.append(f"{NAMES[name]}: {_changed(was, now)}")
    before, after = (f"row {votes.row}, column {votes.column}" for votes in (one, other))
    return "; ".join([*parts, f"oddest at {after if after == before else f'{before} -> {after}'}"])


def read(file: Path) -> dict[str, Votes]:
    """By photo, from an evidence.csv; nothing where there is none.

    Raises:
        UserError: it is damaged.
    """
    if not file.is_file():
        return {}
    table = read_csv(file, _READ, dtype={"image_id": str, "voter": str})
    table = table[table["voter"].isin(list(NAMES))]
    where = table.dropna(subset=["row", "column"]).set_index("image_id")
    of = int((where["held_out"] == 0).sum())
    by: dict[str, dict[str, Vote]] = {}
    for name, voter, score, weight, rank in zip(
        *(table[column].tolist() for column in ("image_id", "voter", "score", "weight", "rank")), strict=True
    ):
        by.setdefault(name, {})[voter] = Vote(score, weight, int(rank))
    cells_of = zip(where.index.tolist(), where["row"].tolist(), where["column"].tolist(), strict=True)
    return {name: Votes(_ordered(by[name]), of, int(row), int(column)) for name, row, column in cells_of}


def of_training(
    voters: Sequence[Voter], weights: Sequence[float], place: int, cell: tuple[int, int]
) -> Votes:
    """On the training photo at `place`, whose most unusual place is `cell`, counted from 0."""
    scores = [(voter, voter.photos[[place]]) for voter in voters]
    return _told(scores, weights, cell)


def of_held_out(evidence: Evidence, place: int) -> Votes:
    """On the held-out photo at `place`; its ranks say where it would stand among the training photos."""
    row, column = evidence.cells[len(evidence.ids) + place].tolist()
    scores = [(voter, voter.held[[place]]) for voter in evidence.voters]
    return _told(scores, evidence.weights, (row, column))


def _ordered(by: Mapping[str, Vote]) -> dict[str, Vote]:
    """In the order of NAMES."""
    return {name: by[name] for name in NAMES if name in by}


def _told(scores: list[tuple[Voter, Array]], weights: Sequence[float], cell: tuple[int, int]) -> Votes:
    by = {
        voter.name: Vote(float(voter.standard(score)[0]), weight, _rank(voter.photos, score))
        for (voter, score), weight in zip(scores, weights, strict=True)
    }
    return Votes(by, len(scores[0][0].photos), cell[0] + 1, cell[1] + 1)


def _rank(photos: Array, score: Array) -> int:
    """Of a score (1,) among the training photos; a held-out photo under all of them ranks with the last."""
    return min(int((photos > score).sum()) + 1, len(photos))


def _facts(vote: Vote, of: int) -> list[str]:
    """Score, rank and weight; what they are, and how many were ranked, is said where `of` is over 0."""
    if not of:
        return [f"{vote.score:.1f}", f"{vote.rank}", f"{vote.weight:.2f}"]
    return [f"score {vote.score:.1f}", f"rank {vote.rank} of {of}", f"weight {vote.weight:.2f}"]


def _changed(one: list[str], other: list[str]) -> str:
    """The facts of two votes; one that was not asked for is "none"."""
    if one and other:
        return ", ".join(map(_both, one, other))
    return f"{', '.join(one) or 'none'} -> {', '.join(other) or 'none'}"


def _both(one: str, other: str) -> str:
    """`score 4.2 -> 3.9`; words that are the same in both are said once."""
    if one == other:
        return one
    end = one[one.find(" of ") :] if " of " in one else ""
    shared = end if other.endswith(end) else ""
    return f"{one.removesuffix(shared)} -> {other.partition(' ')[2] or other}"
