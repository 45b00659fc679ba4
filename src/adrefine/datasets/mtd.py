"""Magnetic tile defects as published: six folders of photos (.jpg), each photo with its mask (.png) beside
it.

    MT_Free/Imgs/exp1_num_1.jpg  exp1_num_1.png (empty)
    MT_Blowhole/Imgs/…  MT_Break/Imgs/…  MT_Crack/Imgs/…  MT_Fray/Imgs/…  MT_Uneven/Imgs/…
    differnet_train.txt          optional: the good photos that train, a file name a line; the others test

Without the list the good photos are split by `dataset.test_fraction`. All defects are tested.
Counts: Huang et al., "Surface defect saliency of magnetic tile", The Visual Computer 2020; 761 is DifferNet's
split.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

LIST = "differnet_train.txt"
GOOD_FOLDER = "MT_Free/Imgs"
OFFICIAL = {"good": 952, "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "uneven": 103}
KINDS = tuple(kind for kind in OFFICIAL if kind != "good")
_PHOTOS = {".jpg", ".jpeg"}


class MTD(Layout):
    """Magnetic tile defects."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`. The empty masks of good tiles are left out."""
        remedy = f"the mtd layout needs {GOOD_FOLDER} and MT_<Kind>/Imgs for {', '.join(KINDS)}"
        files.need_folder(root / GOOD_FOLDER, remedy)
        listed = _listed(root)
        rows = []
        for source in files.photos(root, GOOD_FOLDER, _PHOTOS):
            tested = files.held_out(source, params) if listed is None else Path(source).stem not in listed
            rows.append(files.row(source, "test" if tested else "train", GOOD))
        for kind in KINDS:
            folder = f"MT_{kind.capitalize()}/Imgs"
            files.need_folder(root / folder, remedy)
            masks = set(files.photos(root, folder, {".png"}))
            for source in files.photos(root, folder, _PHOTOS):
                mask = str(Path(source).with_suffix(".png").as_posix())
                rows.append(files.row(source, "test", DEFECT, mask if mask in masks else "", kind))
        return files.as_table(rows)

    def official(self, root: Path) -> dict[str, int]:
        """See `Layout.official`."""
        return OFFICIAL

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`."""
        absent = sorted((_listed(root) or set()) - {Path(source).stem for source in table["source"]})
        return (
            [f"{LIST} names {len(absent)} photos that {GOOD_FOLDER} lacks, such as {absent[0]}"]
            if absent
            else []
        )

    def unused(self, root: Path, source: str) -> str:
        """See `Layout.unused`."""
        if source.startswith(f"{GOOD_FOLDER}/") and Path(source).suffix.lower() == ".png":
            return "a mask: of a photo without defect"
        return f"not in {GOOD_FOLDER} or MT_<Kind>/Imgs"


def _listed(root: Path) -> set[str] | None:
    """Stems of the photos that the split list names; None without a list."""
    path = root / LIST
    if not path.exists():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as text ({type(error).__name__}): correct it, or remove it to split by "
            "dataset.test_fraction"
        ) from None
    names = {Path(line.strip()).name for line in lines if line.strip()}
    return {name[:-4] if name.lower().endswith(".jpg") else name for name in names}
