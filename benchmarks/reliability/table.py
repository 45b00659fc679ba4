"""The results as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adrefine import text

_COLUMNS = (
    "what",
    "tried",
    "right",
    "refused in a line",
    "needed a hand",
    "wrong or lost",
    "traceback",
    "slow",
)


def line(row: Mapping[str, Any]) -> str:
    """A row in one line."""
    return ", ".join(f"{name} {cell}" for name, cell in zip(_COLUMNS, _cells(row), strict=True))


def render(rows: Iterable[Mapping[str, Any]]) -> str:
    """All rows as Markdown."""
    cells = [_cells(row) for row in rows]
    return "\n".join(text.markdown(list(_COLUMNS), cells, right=list(_COLUMNS[1:])))


def _cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    lost = row["wrong"] + row["lost"]
    counts = (row["tried"], row["right"], row["refused"], row["hand"], lost, row["traceback"], row["slow"])
    return (row["kind"], *(f"{count:,}" for count in counts))
