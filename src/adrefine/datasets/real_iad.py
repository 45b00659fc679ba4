"""Real-IAD as published: `dataset.root` is the folder of one class, the lists lie beside the resolutions.

    Real-IAD/realiad_1024/audiojack/OK/S0001/audiojack_0001_OK_C1_20231021.jpg
                          audiojack/NG/BX/S0001/audiojack_0001_NG_BX_C1_20231021.jpg, .png (its mask)
    Real-IAD/realiad_jsons/audiojack.json    realiad_jsons_sv/…    realiad_jsons_fuiad_0.1/…

The list decides, not the folder: a defective part that is tested from a side where nothing shows is good (the
official rule; labels by the folder alone differ). The photos of a folder S0001 show one part.
`dataset.variant`: base, sv or fuiad_0.0 to fuiad_0.4, whose training lists hold defective photos: they can be
hidden, at the level of `noise` or all of them (`noise.mode: as_given`), or teach.
Wang et al., "Real-IAD", CVPR 2024.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from adrefine.datasets import files
from adrefine.datasets.base import Layout
from adrefine.errors import UserError
from adrefine.io import read_json
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Dataset

VARIANTS = ("base", "sv", "fuiad_0.0", "fuiad_0.1", "fuiad_0.2", "fuiad_0.4")
KINDS = {
    "AK": "pit",
    "BX": "deformation",
    "CH": "abrasion",
    "HS": "scratch",
    "PS": "damage",
    "QS": "missing parts",
    "YW": "foreign objects",
    "ZW": "contamination",
}


class RealIAD(Layout):
    """One class of Real-IAD."""

    def scan(self, root: Path, params: Dataset) -> pd.DataFrame:
        """See `Layout.scan`."""
        path = _list(root.resolve(), files.variant(params, VARIANTS))
        content = read_json(path)
        try:
            good = content["meta"]["normal_class"]
            rows = [_row(item, split, good) for split in ("train", "test") for item in content[split]]
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is no list of Real-IAD ({error!r}): unpack it again") from None
        return files.as_table(rows)

    def warnings(self, root: Path, table: pd.DataFrame) -> list[str]:
        """See `Layout.warnings`."""
        sides = int(((table["label"] == GOOD) & table["source"].str.startswith("NG/")).sum())
        return [f"{sides} photos of defective parts show no defect and count as good"] if sides else []

    def unused(self, root: Path, source: str) -> str:
        """See `Layout.unused`."""
        return "not in the list of this variant"


def _list(root: Path, variant: str) -> Path:
    """The list of a class, whose archive unpacks flat or into a folder of its own name."""
    folder = "realiad_jsons" + ("" if variant == "base" else f"_{variant}")
    places = [root.parent.parent / folder, root.parent.parent / folder / folder, root.parent / folder]
    lists = [place / f"{root.name}.json" for place in places if (place / f"{root.name}.json").is_file()]
    if not lists:
        raise UserError(
            f"{places[0] / root.name}.json is missing: dataset.root of real_iad is the folder of one class, "
            f"such as Real-IAD/realiad_1024/audiojack, and realiad_jsons.zip is unpacked to Real-IAD/{folder}"
        )
    return lists[0]


def _row(item: dict[str, Any], split: str, good: str) -> dict[str, object]:
    source, mask, kind = item["image_path"], item["mask_path"], item["anomaly_class"]
    part = PurePosixPath(source).parent.as_posix()
    if kind == good or (mask is None and split == "test"):
        return files.row(source, split, GOOD, part=part)
    return files.row(source, split, DEFECT, mask or "", KINDS.get(kind, kind), part)
