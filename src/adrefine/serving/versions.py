"""Promoted models and datasets on disk: one folder each, and a link to the one in use.

    promoted/0001/ 0002/ …  manifest.csv, model/, inputs/, params.yaml, dvc.lock, held_out.csv, promotion.json
    promoted/current        link to one of them; `ln -sfn 0001 promoted/current` goes back
    promoted/history.csv    every decision, with its reason and time

A folder appears whole or not at all, and the link changes in one step: a run that was killed at any moment is
run again, comes to the same decision and goes on where it was. Nothing is ever deleted here.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from adrefine.cells import tame, wild
from adrefine.errors import UserError
from adrefine.io import (
    Damaged,
    fresh_folder,
    locked,
    move_folder,
    point,
    read_csv,
    read_json,
    sweep,
    write_csv,
    write_durably,
    write_json,
)
from adrefine.serving.candidate import Candidate
from adrefine.serving.promotion import LIKELIHOOD, Record, Verdict

CURRENT, HISTORY, UNDECIDED = "current", "history.csv", "undecided"
HELD_OUT, DECISION = "held_out.csv", "promotion.json"
HISTORY_COLUMNS = (
    *("time", "decision", "version", "candidate", "measure", "value", "reference", "good", "defective"),
    "reason",
)


def current(folder: Path) -> str | None:
    """Name of the version in use; None: nothing is promoted.

    Raises:
        UserError: the link leads nowhere.
    """
    link = folder / CURRENT
    if not link.is_symlink() and not link.exists():
        return None
    if not (link / DECISION).is_file():
        raise UserError(
            f"{link} does not point to a promoted version: ln -sfn NNNN {link}, one of those in {folder}"
        )
    return link.resolve().name


def decision(folder: Path, name: str) -> dict[str, Any]:
    """promotion.json of a version."""
    content: dict[str, Any] = read_json(folder / name / DECISION)
    if not isinstance(content, dict) or not {"best", "inputs", "candidate"} <= content.keys():
        raise Damaged(folder / name / DECISION, "no promotion")
    return content


def best(folder: Path) -> Record | None:
    """The version that a new model must match: the best of those that led to the one in use."""
    name = current(folder)
    if name is None:
        return None
    name = str(decision(folder, name)["best"])
    scores = read_csv(folder / name / HELD_OUT, ("image_id", "score", LIKELIHOOD), dtype={"image_id": str})
    return Record(name, str(decision(folder, name)["inputs"]), scores)


def history(folder: Path) -> list[dict[str, str]]:
    """Every decision, the oldest first."""
    path = folder / HISTORY
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode()
        lines = list(csv.DictReader(StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Damaged(path, str(error)[:80]) from None
    if not lines or any(line.keys() != set(HISTORY_COLUMNS) or None in line.values() for line in lines):
        raise Damaged(path, "its lines and columns do not fit")
    return [{key: wild(value) for key, value in line.items()} for line in lines]


def settle(folder: Path, candidate: Candidate, verdict: Verdict) -> str:
    """Carry out a decision: the version in use afterwards ("" for none).

    The same call after a kill ends in the same state. A candidate that is in use already stays so.

    Raises:
        UserError: another run is deciding, or made other files meanwhile.
    """
    with locked(folder / ".lock", "another run is promoting a model"):
        sweep(folder)
        candidate.check(candidate.files)
        name = current(folder) or ""
        if not name or decision(folder, name)["candidate"] != candidate.identity:
            told = asdict(verdict)
            if verdict.promote:
                name = _add(folder, candidate, verdict)
                point(folder / CURRENT, name)
        else:  # as it was decided then
            told = decision(folder, name)
        _log(folder / HISTORY, _line(candidate.identity, told, name))
        (folder / UNDECIDED).unlink(missing_ok=True)
    return name


def _add(folder: Path, candidate: Candidate, verdict: Verdict) -> str:
    """Write the candidate's folder and return its name; one that a killed run completed is left as it is."""
    there = sorted(path.name for path in folder.iterdir() if path.name.isdigit())
    if there and decision(folder, there[-1])["candidate"] == candidate.identity:
        return there[-1]
    name = f"{int(there[-1]) + 1 if there else 1:04d}"
    scratch = fresh_folder(folder / ".new")
    candidate.copy(scratch)
    write_csv(scratch / HELD_OUT, candidate.record.scores)
    reference = current(folder)
    the_best = name if verdict.best or reference is None else decision(folder, reference)["best"]
    facts = {"candidate": candidate.identity, "inputs": candidate.record.inputs, **candidate.facts}
    write_json(scratch / DECISION, {**asdict(verdict), **facts, "best": the_best, "after": reference})
    move_folder(scratch, folder / name)
    return name


def _line(candidate: str, told: Mapping[str, Any], version: str) -> dict[str, str]:
    """A line of the history."""
    known = {key: "" if told[key] is None else str(told[key]) for key in HISTORY_COLUMNS if key in told}
    return {
        **known,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "candidate": candidate,
        "decision": "promoted" if told["promote"] else "refused",
        "version": version,
    }


def _log(path: Path, line: dict[str, str]) -> None:
    """Add a line to the history, unless it is there: a killed run may have written it."""
    lines = history(path.parent)
    same = ("candidate", "decision", "version", "reason")
    earlier = lines if line["decision"] == "promoted" else lines[-1:]
    if any(all(line[key] == other[key] for key in same) for other in earlier):
        return
    text = StringIO()
    table = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows({key: tame(value) for key, value in one.items()} for one in [*lines, line])
    write_durably(path, text.getvalue().encode())
