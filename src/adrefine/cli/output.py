"""Results for other programs: `--json`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option `--json`."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for other programs")


def print_json(content: Any) -> None:
    """Print JSON that every reader takes: no NaN, no infinity."""
    import json

    print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of equally many cells as columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
