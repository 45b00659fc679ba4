"""Text in the cells of a table that people open in a spreadsheet, where some of it would be run as a formula.

`=HYPERLINK("http://…")` is a possible name of a photo. Such text gets an apostrophe in front, which
spreadsheets take for "text" (OWASP, CSV Injection), and loses it again when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # the last four: as Japanese and Chinese ones read them


def tame(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def wild(text: str) -> str:
    """What `tame` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def tamed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `tame` of all its text."""
    return _each(table, tame)


def untamed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `wild` of all its text."""
    return _each(table, wild)


def _each(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    changed = {}
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        if column.dtype.kind == "O" or str(column.dtype) in ("string", "str"):
            cells = [change(cell) if isinstance(cell, str) else cell for cell in column]
            if any(new is not old for new, old in zip(cells, column, strict=True)):
                changed[name] = cells
    return table.assign(**changed) if changed else table
