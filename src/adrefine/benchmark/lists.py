"""Published lists of training photos: which photos train, the defects among them by name.

A CSV with a column `filename`, such as `bottle/train/good/014.png` or `bottle/test/broken_large/003.png`: the
folder of the class, then the photo in the layout. Listed defects hide and are tested as well, as in the
published protocol of MeDS (arXiv 2605.26676).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from adrefine.errors import UserError
from adrefine.io import read_csv
from adrefine.manifest import DEFECT


def file_of(pattern: str | None, level: float, seed: int) -> Path | None:
    """The list of a level and a seed; None at level 0, where nothing hides, and without a pattern.

    Args:
        pattern: path with `{percent}` and `{seed}` in it.

    Raises:
        UserError: the file is missing.
    """
    if pattern is None or not level:
        return None
    path = Path(pattern.replace("{percent}", f"{100 * level:g}").replace("{seed}", str(seed)))
    if not path.is_file():
        raise UserError(
            f"lists: {path} is missing: the comment at the top of the benchmark file says where to get "
            "the lists"
        )
    return path


def inject(table: pd.DataFrame, path: Path, root: Path) -> pd.DataFrame:
    """The noisy manifest that the list `path` makes of an ingested one; columns as `noise.inject`.

    Args:
        root: folder of the class, by whose name its lines are found.

    Raises:
        UserError: the list has no photo of this class, or names one that is not there.
    """
    names = read_csv(path, ("filename",), dtype=str, keep_default_na=False)["filename"]
    own = names[names.str.startswith(f"{root.name}/")].str.removeprefix(f"{root.name}/")
    if own.empty:
        raise UserError(f"{path} lists no photo of {root.name}/")
    missing = [name for name in own[~own.isin(table["source"])] if not (root / name).is_file()]
    if missing:  # a photo that ingest left out, such as one that is there twice, is no mistake of the list
        raise UserError(f"{path}: {root.name}/{missing[0]} is not in {root}: is the dataset complete?")
    listed = table["source"].isin(own)
    noisy = table.assign(in_test=(table["split"] == "test").astype(int))
    noisy["injected"] = (listed & (table["label"] == DEFECT)).astype(int)
    noisy.loc[table["split"] == "train", "split"] = "pool"
    noisy.loc[listed, "split"] = "train"
    return noisy
