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
        if not (root / _LIST).is_file():
            raise UserError(f"{root / _LIST} is missing: list the photos there, a line `file,label` for each")
        with (root / _LIST).open(newline="") as lines:
            found = [self._row(line, params) for line in csv.DictReader(lines)]
        return files.as_table(found)

    def _row(self, line: dict[str, str], params: Dataset) -> dict[str, object]:
        source, label = line["file"], line["label"]
        if label == "defect":
            return files.row(source, "test", DEFECT, "", "defect")
        return files.row(source, "test" if files.held_out(source, params) else "train", GOOD)
