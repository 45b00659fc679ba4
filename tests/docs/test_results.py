"""Tables of docs/results.md are those that the benchmarks wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import review_report
from benchmarks.products import aims, table
from pipeline.project import REPOSITORY

RESULTS: Path = REPOSITORY / "benchmarks/results"
PAGE = (REPOSITORY / "docs/results.md").read_text()
REPORT = table.report(pd.read_csv(REPOSITORY / "benchmarks/results/products.csv"))
ROWS = [line for line in REPORT.splitlines() if line.startswith("| ") and "hidden" not in line]


@pytest.mark.parametrize("row", [row for row in ROWS if "product" not in row and row.count("|") > 4])
def test_every_row_of_the_products_is_in_the_page(row: str) -> None:
    assert row in PAGE


def test_the_committed_table_is_that_of_the_committed_runs() -> None:
    assert (REPOSITORY / "benchmarks/results/products_table.md").read_text() == REPORT


def test_what_was_aimed_at_is_what_the_runs_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aims, "RESULTS", RESULTS)
    told = aims.report(*aims.tables())
    assert (RESULTS / "aims.md").read_text() == told
    assert [row for row in told.splitlines() if row.startswith("|") and row not in PAGE] == []


def test_the_committed_review_is_that_of_the_committed_runs() -> None:
    assert (RESULTS / "review.md").read_text() == review_report.report(pd.read_csv(RESULTS / "review.csv"))
