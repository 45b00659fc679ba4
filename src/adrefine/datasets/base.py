"""What a dataset layout has to tell: where each photo is, its split, its label and its mask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pandas as pd

from adrefine.errors import UserError
from adrefine.params import Dataset

# source, mask_source: POSIX paths relative to the root ("" for no mask); split: train | test | pool;
# label: manifest.GOOD | DEFECT | UNKNOWN; defect_type: "" for good photos; part: the same text for all photos
# of one part, "" where the dataset does not tell.
SCAN_COLUMNS = ("source", "mask_source", "split", "label", "defect_type", "part")


class Layout(ABC):
    """One way to lay out a dataset on disk. One file and one registry line each."""

    @abstractmethod
    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """List the photos under `root` without decoding them.

        Returns:
            SCAN_COLUMNS, sorted by `source`.

        Raises:
            UserError: a folder or list file that the layout needs is missing; names it and the remedy.
        """

    def arrivals(self, root: Path) -> str:
        """The folder below the root, "" for the root itself, that new photos believed to be good go to.

        Raises:
            UserError: this layout takes no new photos; says which do.
        """
        raise UserError(
            f"the {type(self).__name__} layout is a published dataset that takes no new photos: set "
            "dataset.name to folder or mvtec and dataset.root to photos of your own"
        )

    def official(self, root: Path) -> dict[str, int]:
        """Official number of photos, by the keys of `files.tally`, such as `train good`; empty: nothing
        official."""
        return {}

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """What is odd about a scanned dataset without being an error: one line each, such as a file that
        nothing uses."""
        return []

    def unused(self, root: Path, source: str) -> str:
        """Why a picture below the root is in no row of the table, for `account`: one line."""
        return "has no place in this layout"
