"""MVTec AD, and every folder in its layout: one class of parts, for example `bottle`.

    train/good/000.png
    test/good/000.png
    test/<type>/000.png          ground_truth/<type>/000_mask.png (or 000.png)

Counts: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, table 1.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

# class: good photos in training, good photos in test, defective photos in test
OFFICIAL = {
    "bottle": (209, 20, 63),
    "cable": (224, 58, 92),
    "capsule": (219, 23, 109),
    "carpet": (280, 28, 89),
    "grid": (264, 21, 57),
    "hazelnut": (391, 40, 70),
    "leather": (245, 32, 92),
    "metal_nut": (220, 22, 93),
    "pill": (267, 26, 141),
    "screw": (320, 41, 119),
    "tile": (230, 33, 84),
    "toothbrush": (60, 12, 30),
    "transistor": (213, 60, 40),
    "wood": (247, 19, 60),
    "zipper": (240, 32, 119),
}


class MVTec(Layout):
    """One class of MVTec AD."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`. A defective photo without mask has an empty `mask_source`."""
        remedy = "the mvtec layout needs train/good, test/good and test/<type of defect>"
        inside = [name for name in files.folders(root) if (root / name / "train" / "good").is_dir()]
        if inside:
            remedy = f"dataset.root must be the folder of one class, such as {root / inside[0]}"
        files.need_folder(root / "train" / "good", remedy)
        files.need_folder(root / "test", remedy)
        files.need_folder(root / "test" / "good", remedy)
        rows = [files.row(source, "train", GOOD) for source in files.photos(root, "train/good")]
        for kind in files.folders(root / "test"):
            rows += _tested(root, kind)
        return files.as_table(rows)

    def arrivals(self, root: Path) -> str:
        """See `Layout.arrivals`."""
        return "train/good"

    def official(self, root: Path) -> dict[str, int]:
        """See `Layout.official`; the folder's name is the class."""
        counts = OFFICIAL.get(root.resolve().name)
        return dict(zip(("train good", "test good", "test defect"), counts, strict=True)) if counts else {}

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`."""
        unused = [f"train/{name}" for name in files.folders(root / "train") if name != "good"]
        return (
            [f"{', '.join(unused)}: not used, the mvtec layout trains on train/good alone"] if unused else []
        )


def _tested(root: Path, kind: str) -> list[dict[str, object]]:
    sources = files.photos(root, f"test/{kind}")
    if kind == "good":
        return [files.row(source, "test", GOOD) for source in sources]
    folder = f"ground_truth/{kind}"
    masks = {Path(name).stem: name for name in files.photos(root, folder)} if (root / folder).is_dir() else {}
    return [
        files.row(source, "test", DEFECT, masks.get(f"{stem}_mask", masks.get(stem, "")), kind)
        for source, stem in ((source, Path(source).stem) for source in sources)
    ]
