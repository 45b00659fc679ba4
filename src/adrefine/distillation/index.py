"""Which files a detector that looks at pixels finds in data/prepared/pixels.

Every row carries a digest of its file's content, so that data/prepared changes with each photo.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from adrefine.areas.region import FILE, Region
from adrefine.io import sha256_file, write_csv


def write(
    folder: Path,
    photos: pd.DataFrame,
    synthetic: pd.DataFrame,
    generic: list[Path],
    region: Region | None = None,
) -> None:
    """Write `images.csv`, `synthetic.csv` and `generic.csv` to `folder`: the photos, no label among them; and
    `roi.png`, what counts of the photos, if not all does.

    Args:
        photos: every ingested photo, columns image_id and path.
        synthetic: synthetic defects, columns image_id, path, mask_path and source_id, the photo's id.
        generic: photos of anything.
    """
    photos = photos[["image_id", "path"]].sort_values("image_id")
    synthetic = synthetic[["image_id", "path", "mask_path", "source_id"]].sort_values("image_id")
    write_csv(folder / "images.csv", photos.assign(digest=photos["path"].map(_digest)))
    pair = synthetic["path"].map(_digest) + synthetic["mask_path"].map(_digest)
    write_csv(folder / "synthetic.csv", synthetic.assign(digest=pair))
    names = pd.DataFrame({"path": [path.as_posix() for path in generic]}, dtype=str)
    write_csv(folder / "generic.csv", names.assign(digest=names["path"].map(_digest)))
    (folder / FILE).unlink(missing_ok=True)
    if region is not None:
        region.picture().save(folder / FILE)


def _digest(path: str) -> str:
    return sha256_file(Path(path))[:16]
