"""What the benchmark scripts share: a dataset, ingested and embedded once, and one measured model on it."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from adrefine.benchmark import measure, prepared
from adrefine.benchmark.measure import fit, inject
from adrefine.detectors.base import Detector
from adrefine.io import write_csv
from adrefine.params import parse

__all__ = ["RESULTS", "add_rows", "code_of", "fit", "inject", "milliseconds", "prepare", "test_auroc"]

RESULTS = Path(__file__).parent / "results"


def prepare(name: str, root: str, twins: bool = False, **embed_params: Any) -> tuple[pd.DataFrame, Path]:
    """Manifest of the dataset at `root` and the folder of its features; quick the second time.

    twins: with the features of one synthetic defect of every photo that could train.
    """
    return prepared.prepare(parse({"dataset": {"name": name, "root": root}, "embed": embed_params}), twins)


def test_auroc(model: Detector, noisy: pd.DataFrame, features: Path) -> float:
    """Image AUROC on the test photos."""
    return measure.tested(model, noisy, features)["auroc"]


def rows_of(target: Path, keys: Sequence[str]) -> pd.DataFrame:
    """The table `target`; with no row but the columns `keys` where it does not exist yet."""
    return pd.read_csv(target) if target.exists() else pd.DataFrame(columns=list(keys))


def add_rows(target: Path, rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The table `target` with `rows` in it, sorted by the keys; those with the same keys are replaced.

    Several processes may share the table. Where there are no rows, nothing changes.
    """
    with FileLock(f".adrefine/{target.stem}.lock"):
        before = rows_of(target, keys)
        if rows.empty:
            return before
        old, new = (pd.MultiIndex.from_frame(table[list(keys)]) for table in (before, rows))
        kept = before[~old.isin(new)]
        table = pd.concat([kept, rows]) if len(kept) else rows
        table = table.sort_values(list(keys), kind="stable")
        write_csv(target, table)
    return table


def code_of(checkout: Path) -> dict[str, str]:
    """Variables with which `python` and `dvc` are those of this process, and adrefine that of a checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PYTHONPATH": str(checkout / "src"), "PATH": path}


def milliseconds(jobs: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Median time of each job after one to warm up; in turns, so that a busy machine is unfair to none."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return {name: round(1e3 * statistics.median(times[1:]), 1) for name, times in seconds.items()}
