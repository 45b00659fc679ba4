"""Photos that an export is checked with: of the project, or those that the user names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from adrefine import manifest, params, paths
from adrefine.bundle.contents import Contents
from adrefine.bundle.write import held_out, learned
from adrefine.datasets import locate
from adrefine.errors import UserError
from adrefine.evaluation.maps import draw
from adrefine.export.photo import Given
from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.preparation import Preparation, Ready
from adrefine.io import sha256_file
from adrefine.prediction import files

_COMPARED, _MEASURED, _CALIBRATED = 32, 200, 32  # photos of each kind, at most


@dataclass(frozen=True)
class Photos:
    """Files.

    Attributes:
        compared: for parity. where: they are from, for people.
        held: held-out ones, with their part: thresholds are read off them.
        tested: test photos, with 1 for a defective and 0 for a good one.
        kept: training photos that the strategy kept.
    """

    compared: list[Path]
    where: str
    held: dict[Path, str] = field(default_factory=dict)
    tested: dict[Path, int] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)


def find(contents: Contents, asked: list[str], int8: bool) -> Photos:
    """The photos to check an export with.

    Args:
        asked: files, folders or patterns of the user; empty: the project's own.

    Raises:
        UserError: there are none; or int8 asks for training photos of the model, and these are others.
    """
    file = paths.REFINED / paths.MANIFEST
    there = file.exists()
    if int8 and not (there and sha256_file(file) == contents.dataset["manifest_sha256"]):
        raise UserError(
            f"--int8 is calibrated on the photos that this model learned, and {file} "
            f"{'is of another run' if there else 'is not here'}: export in the project that made it, "
            "before a new run"
        )
    if asked:
        photos = _of_project(file) if int8 else Photos([], "")
        return Photos(list(files.named(asked)), "given", photos.held, photos.tested, photos.kept)
    if not there:
        raise UserError(
            "an export is compared with the model on photos, but there is no project here with photos: "
            "give --photos FOLDER with 20 good and defective photos that were not used for training"
        )
    return _of_project(file)


def pixels(path: Path, preparation: Preparation, given: Given) -> tuple[Ready, npt.NDArray[np.uint8]]:
    """A photo as the model reads it, and as the input of the graph.

    Raises:
        UserError: it cannot be read, or has another size than the graph takes.
    """
    try:
        decoded = preparation.whole(path.read_bytes())
        ready = preparation.of_pixels(decoded)
    except (BadPhoto, OSError) as error:
        raise UserError(f"{path}: {error}") from None
    image = decoded.image if given.whole else ready.image
    if image.size != (given.width, given.height):
        raise UserError(
            f"{path} has {image.width}x{image.height} pixels, the graph takes {given.width}x{given.height}: "
            "give --photos of that size, or --input working"
        )
    return ready, np.array(image.convert(given.mode))[None]


def _of_project(file: Path) -> Photos:
    table = manifest.read(file)
    root = locate(params.load().dataset)
    held, test = held_out(table), manifest.of_split(table, "test")
    known = draw(test[test["label"] != manifest.UNKNOWN], _MEASURED)
    chosen = pd.concat([draw(held, _COMPARED), draw(test, _COMPARED)])
    files = {name: root / source for name, source in zip(table["image_id"], table["source"], strict=True)}
    used = [files[name] for name in chosen["image_id"]]
    if missing := [path for path in used if not path.is_file()]:
        raise UserError(f"{missing[0]}, which {file} names, is not there: give --photos FOLDER")
    return Photos(
        used,
        "held-out and test photos",
        {files[name]: part for name, part in zip(held["image_id"], manifest.parts(held), strict=True)},
        {files[name]: label for name, label in zip(known["image_id"], known["label"], strict=True)},
        [files[name] for name in draw(learned(table), _CALIBRATED)["image_id"]],
    )
