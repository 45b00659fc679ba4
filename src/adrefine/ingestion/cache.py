"""The side cache of ingest: finished images and masks, each under the hash of the bytes it was made of.

A record lies beside each. Speed only, safe to delete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import PIL

from adrefine import io
from adrefine.ingestion import pose
from adrefine.ingestion.scales import EIGHT_BIT

_SEAL = "sum"
CODE_VERSION = 7  # raise when the same photo would come out differently, so that the side cache is not used


def config_key(size: int, fit: str, looks: bool = False, aspect: float = 0.0) -> str:
    """Name of the side cache of one way to prepare photos; another Pillow may round pixels differently."""
    text = f"{CODE_VERSION}/{PIL.__version__}/{size}/{fit}"
    if looks or fit == "part":
        text += f"/{pose.VERSION}/{looks}/{aspect:g}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def image_file(cache: Path, sha256: str, scale: str = str(EIGHT_BIT)) -> Path:
    """Where the side cache keeps the image of a photo on a scale."""
    deep = "" if scale == str(EIGHT_BIT) else f"-{hashlib.sha256(scale.encode()).hexdigest()[:16]}"
    return cache / f"{sha256}{deep}.png"


def mask_file(cache: Path, sha256: str, turned_like: str = "") -> Path:
    """Where the side cache keeps a mask; `turned_like`: hash of the photo that it was turned with."""
    return cache / "masks" / f"{sha256}{'-' if turned_like else ''}{turned_like}.png"


def levels_file(cache: Path, sha256: str) -> Path:
    """Where it keeps what a photo of more than 8 bits reaches."""
    return cache / "levels" / f"{sha256}.json"


def read(file: Path) -> dict[str, Any] | None:
    """Record of an image in the side cache; None if there is none, or if somebody changed the image since."""
    try:
        record = unsealed(file.with_suffix(".json"))
        intact = bool(record.pop("png") == io.sha256_file(file))
    except (OSError, ValueError, KeyError):
        return None
    return record if intact else None


def store(file: Path, image: bytes, record: dict[str, Any]) -> None:
    """The record comes last: an image without it does not count."""
    io.write_bytes(file, image)
    seal(file.with_suffix(".json"), {**record, "png": hashlib.sha256(image).hexdigest()})


def seal(file: Path, record: Mapping[str, Any]) -> None:
    """Write a record with its own check sum: a digit that changed on the disk would be another size."""
    io.write_json(file, {**record, _SEAL: _sum(record)})


def unsealed(file: Path) -> dict[str, Any]:
    """A record that `seal` wrote.

    Raises:
        OSError: there is none. Damaged: it is not as it was written.
    """
    record = io.read_json(file)
    if not isinstance(record, dict) or record.pop(_SEAL, None) != _sum(record):
        raise io.Damaged(file, "its check sum differs")
    return record


def _sum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]
