"""A dataset layout: photos.csv under the root has a line `file,label` for each photo, good or defect."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

_LIST = "photos.csv"


class Listed(Layout):
    """Good photos are split into training and test by `dataset.test_fraction`; defective ones are tested."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        path = root / _LIST
        if not path.is_file():
            raise UserError(f"{path} is missing: list the photos there, a line `file,label` for each")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()  # Excel puts a mark in front
        except UnicodeDecodeError:
            raise UserError(f"{path} is no text in UTF-8: save it as CSV UTF-8") from None
        table = csv.DictReader(lines, restval="")
        if not {"file", "label"} <= set(table.fieldnames or ()):
            raise UserError(f"{path}, row 1: write `file,label` there, and commas between the columns")
        found = [self._row(line, f"{path}, row {table.line_num}", params) for line in table]
        return files.as_table(found)

    def unused(self, root: Path, source: str) -> str:
        return f"not listed in {_LIST}"

    def _row(self, line: dict[str, str], place: str, params: Dataset) -> dict[str, object]:
        source, label = line["file"].strip(), line["label"].strip().casefold()
        if label == "defect":
            return files.row(source, "test", DEFECT, defect_type="defect")
        if label != "good":
            raise UserError(f"{place}: the label {line['label']!r} is unknown: write good or defect")
        return files.row(source, "test" if files.held_out(source, params) else "train", GOOD)
