"""The rows of a benchmark: one CSV, written whole after every run, so that a kill loses no finished one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine.benchmark.config import VANILLA
from adrefine.benchmark.plan import Cell, Run
from adrefine.errors import UserError
from adrefine.io import write_csv

# Columns and their types. `class`: product class, or empty. n_train, realised: photos that trained, share of
# hidden defects among them. seconds: of the training (vanilla, oracle) or the refinement. aupro: of the maps
# of `localize` test photos. removed_* and
# precision to rounds: see measure.cleaned; rank_* and precision_at_defects are of the last scores, in
# vanilla rows those of the initial model for the photos it has learned. ceiling_*: in oracle rows;
# ceiling_auroc is that of the detector without the photos that rank highest there, as many as are hidden.
# unreachable: in the vanilla row of a cell that cannot be made, why.
COLUMNS = {
    "dataset": "str", "class": "str", "n_train": "Int64", "mode": "str", "noise": "float",
    "realised": "float", "seed": "Int64", "detector": "str", "strategy": "str", "digest": "str",
    "seconds": "float", "auroc": "float", "aupr": "float", "aupro": "float", "removed": "Int64",
    "removed_defects": "Int64", "removed_good": "Int64", "precision": "float", "recall": "float",
    "good_retained": "float",
    "rank_auroc": "float", "rank_ap": "float", "rank_depth_90": "float", "rank_depth_100": "float",
    "precision_at_defects": "float", "rounds": "Int64", "stop_reason": "str",
    "ceiling_rank_auroc": "float", "ceiling_precision_at_defects": "float", "ceiling_auroc": "float",
    "unreachable": "str",
}  # fmt: skip
TEXT = [name for name, kind in COLUMNS.items() if kind == "str"]
LATER = ("rank_ap", "rank_depth_90", "rank_depth_100", "aupro")  # a file without them is read
ASKED = ("aupro",)  # left out of a file where no row has them: a benchmark must ask for them
_KEY = ["dataset", "class", "mode", "noise", "seed", "detector", "strategy"]
Key = tuple[str, ...]


class Results:
    """The rows of a CSV by run; rows of runs that nobody asks for any more stay in it, last."""

    def __init__(self, path: Path, cells: Mapping[Cell, list[Run]]) -> None:
        """Read `path` if it is there.

        Raises:
            UserError: the file is no table of results.
        """
        self.path, self.cells = path, cells
        runs = (run for members in cells.values() for run in members)
        self.order = {_key_of(run): place for place, run in enumerate(runs)}
        self.rows = {_key(row): row for row in _read(path)}

    def state(self, run: Run) -> str:
        """`done`, `missing`, `stale` (made with other settings) or `unreachable`."""
        cell = self.rows.get(_key_of(self.cells[run.cell][0]), {})
        if cell.get("unreachable") and cell["digest"] == run.base:
            return "unreachable"
        row = self.rows.get(_key_of(run))
        if row is None:
            return "missing"
        return "done" if row["digest"] == run.digest and not row["unreachable"] else "stale"

    def pending(self) -> dict[Cell, list[Run]]:
        """The runs that are missing or stale, by cell."""
        missing = {
            cell: [run for run in runs if self.state(run) in ("missing", "stale")]
            for cell, runs in self.cells.items()
        }
        return {cell: runs for cell, runs in missing.items() if runs}

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Put rows in the place of earlier ones of the same runs, write the file, and keep its digits."""
        for row in rows:
            whole = {name: row.get(name, "" if kind == "str" else None) for name, kind in COLUMNS.items()}
            self.rows[_key(whole)] = whole
        table = _table(self.rows[key] for key in sorted(self.rows, key=self._place))
        write_csv(self.path, table.drop(columns=[name for name in ASKED if table[name].isna().all()]))
        self.rows = {_key(row): row for row in _read(self.path)}

    def valid(self) -> pd.DataFrame:
        """The rows of the benchmark's runs that are not stale, in its order."""
        good = [
            self.rows[_key_of(run)]
            for run in (run for members in self.cells.values() for run in members)
            if self.state(run) == "done" or (self.state(run) == "unreachable" and run.strategy == VANILLA)
        ]
        return _table(good)

    def _place(self, key: Key) -> tuple[int, Key]:
        return self.order.get(key, len(self.order)), key


def _key_of(run: Run) -> Key:
    cell = run.cell
    return _texts(cell.dataset, cell.part, cell.mode, cell.noise, cell.seed, cell.detector, run.strategy)


def _key(row: Mapping[str, Any]) -> Key:
    return _texts(*(row[name] for name in _KEY))


def _texts(*values: object) -> Key:
    return tuple(f"{value:.7g}" if isinstance(value, float) else str(value) for value in values)


def _table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return made.astype(COLUMNS)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        there = set(pd.read_csv(path, nrows=0).columns)
        missing = set(COLUMNS) - there - set(LATER)
        if missing:
            raise ValueError(f"no column {min(missing)}")
        table = pd.read_csv(
            path,
            dtype=COLUMNS,
            usecols=[name for name in COLUMNS if name in there],
            keep_default_na=False,
            na_values={name: [""] for name in COLUMNS if name not in TEXT},
        ).reindex(columns=list(COLUMNS))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} is not a table of benchmark results ({error}): move it away to start anew"
        ) from None
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
