"""A version as a folder of links in MVTec's layout, which anomalib and others read (`MVTecAD`, `Folder`).

    train/good/ID.png      the photos that train
    test/good/ID.png       test/<type>/ID.png      ground_truth/<type>/ID_mask.png

They are hard links, as anomalib 2.7 refuses symbolic ones that lead out of the folder
(`is_within_directory`), to the images at the working size, which the masks fit; on another disk copies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from adrefine import manifest
from adrefine.datasets.files import tame_name
from adrefine.errors import UserError
from adrefine.io import fresh_folder, move_folder
from adrefine.listing.photos import Photo

_UNKNOWN = "defect"  # type of a defective photo whose folder says none


def write(photos: Sequence[Photo], tested: pd.DataFrame, folder: Path) -> int:
    """Make `folder`, whole or not at all; how many files it has.

    Args:
        photos: that train. tested: rows of the manifest whose photos are tested, with labels.

    Raises:
        UserError: the folder is there already, or an image is not.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} is there already: give another folder to --out, or delete it")
    links = dict(_links(photos, tested))
    missing = next((target for target in links.values() if not target.is_file()), None)
    if missing:
        raise UserError(f"{missing} is missing: `dvc checkout` brings back the photos of this version")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = fresh_folder(folder.parent / f".{folder.name}.new")
    for name, target in links.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        _link(target.resolve(), scratch / name)
    move_folder(scratch, folder)
    return len(links)


def _link(target: Path, name: Path) -> None:
    try:
        os.link(target, name)
    except OSError:  # another disk, or one without links
        shutil.copyfile(target, name)


def _links(photos: Sequence[Photo], tested: pd.DataFrame) -> Iterator[tuple[str, Path]]:
    """Name in the folder, and where it leads."""
    for photo in photos:
        yield f"train/good/{photo['image_id']}.png", Path(photo["image"])
    for row in tested.to_dict("records"):
        kind = "good" if row["label"] == manifest.GOOD else _kind(str(row["defect_type"]))
        yield f"test/{kind}/{row['image_id']}.png", Path(row["path"]).absolute()
        if row["mask_path"] and row["label"] == manifest.DEFECT:
            yield f"ground_truth/{kind}/{row['image_id']}_mask.png", Path(row["mask_path"]).absolute()


def _kind(text: str) -> str:
    """A folder's name; never `good`, never one that leads elsewhere."""
    name = tame_name(text.replace("/", "_")).strip(". ")
    return name if name and name != "good" else _UNKNOWN
