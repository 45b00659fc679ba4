"""What detectors read: folders of data/prepared, named for what is in them and not for who reads it.

A folder that the chosen detector does not read holds one constant file, so that it costs nothing to make and
never changes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from adrefine.errors import UserError
from adrefine.io import sha256_file, write_json

_UNUSED = "unused.json"


def leave_unused(folder: Path) -> None:
    """Leave in `folder` that nobody reads it."""
    shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / _UNUSED, {"unused": "the chosen detector does not read this"})


def digests(prepared: Path, reads: Iterable[str]) -> dict[str, str]:
    """SHA-256 of names and contents of all files of each folder in `reads`.

    Raises:
        UserError: one of the folders is not there, or was left unused; names it.
    """
    return {name: _digest(prepared / name) for name in reads}


def _digest(folder: Path) -> str:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths or (folder / _UNUSED).exists():
        raise UserError(
            f"{folder}, which the detector reads, is missing: run `dvc repro -f -s embed pretrain_pdn`"
        )
    lines = [f"{path.relative_to(folder).as_posix()} {sha256_file(path)}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
