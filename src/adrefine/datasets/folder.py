"""Your own photos, in one of two layouts:

    good/…   defect/<type>/…   masks/…   known to be good or defective, masks where you have them
    …                                    nothing known: all train, and cleaning finds the odd ones

Sub-folders are searched, hidden files and folders skipped. The folder of a photo below `defect/` is its type
of defect. A mask has its photo's path below `masks/`, with or without the leading `defect/`, and any image
suffix. Good photos are split into training and test by `dataset.test_fraction`; all defective ones are
tested.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD, UNKNOWN
from adrefine.params import Dataset


class Folder(Layout):
    """A folder of photos, sorted into good and defective or not sorted at all."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`."""
        there = [name for name in ("good", "defect") if (root / name).is_dir()]
        if not there:
            return files.as_table(
                [files.row(source, "train", UNKNOWN) for source in files.photos_below(root, "")]
            )
        if len(there) == 1:
            other = "defect" if there == ["good"] else "good"
            raise UserError(
                f"{root / other} is missing: add it, or set dataset.root to {root / there[0]} to clean its "
                "photos without labels"
            )
        masks = _masks(root)
        rows = []
        for source in files.photos_below(root, "good"):
            split = "test" if files.held_out(source, params) else "train"
            rows.append(files.row(source, split, GOOD, _mask_of(source, masks)))
        for source in files.photos_below(root, "defect"):
            kind = PurePosixPath(source).relative_to("defect").parent.as_posix()
            rows.append(
                files.row(source, "test", DEFECT, _mask_of(source, masks), "defect" if kind == "." else kind)
            )
        for name in there:
            if not any(str(found["source"]).startswith(f"{name}/") for found in rows):
                raise UserError(f"{root / name} holds no photo: put some there")
        return files.as_table(rows)

    def arrivals(self, root: Path) -> str:
        """See `Layout.arrivals`."""
        return "good" if any((root / name).is_dir() for name in ("good", "defect")) else ""

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`: masks that belong to no photo, which is most often a mistyped name."""
        if (table["label"] == UNKNOWN).all():
            return []
        lost = sorted(set(_masks(root).values()) - set(table["mask_source"]))
        return [f"{len(lost)} masks belong to no photo, such as {lost[0]}"] if lost else []


def _masks(root: Path) -> dict[str, str]:
    """Masks by their path below `masks/` without suffix."""
    if not (root / "masks").is_dir():
        return {}
    found = files.photos_below(root, "masks")
    return {PurePosixPath(name).relative_to("masks").with_suffix("").as_posix(): name for name in found}


def _mask_of(source: str, masks: dict[str, str]) -> str:
    whole = PurePosixPath(source).with_suffix("")
    below = PurePosixPath(
        *whole.parts[1:]
    )  # good photos only by their whole path: good/1 is not the defect 1
    found = masks.get(whole.as_posix(), "")
    return found or (masks.get(below.as_posix(), "") if whole.parts[0] == "defect" else "")
