"""The bytes of a photo or mask: of a sane regular file below the root, or a row of an HDF5 file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from adrefine.datasets import hdf5
from adrefine.ingestion.damage import BadPhoto

_LARGEST_PIXEL = 16  # bytes: four channels of 32 bits, uncompressed
_LARGEST_HEADER = 64 * 2**20


def read_bytes(root: Path, source: str, max_megapixels: float, follow_links: bool = False) -> bytes:
    """Bytes of the file `source` below `root` (absolute, without links).

    Raises:
        BadPhoto: a name or link that leaves the root, a pipe or a monstrous file (refused unread), or one
            that cannot be read.
        MemoryError: there is no room for it.
    """
    row = None if (root / source).is_file() else hdf5.parts_of(source)
    path = root / (row[0] if row else source)
    try:
        if not Path(os.path.normpath(path)).is_relative_to(root):  # a list of files may say `../`
            raise BadPhoto("outside dataset.root: not read")
        if not follow_links and not path.resolve().is_relative_to(root):
            raise BadPhoto(
                "a symbolic link that leaves dataset.root: not followed, unless dataset.follow_links is true"
            )
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadPhoto("a symbolic link to a folder: not followed")
        if not stat.S_ISREG(status.st_mode):
            raise BadPhoto("not a regular file")
        if row is None and status.st_size > max_megapixels * 1e6 * _LARGEST_PIXEL + _LARGEST_HEADER:
            raise BadPhoto(
                f"{status.st_size / 1e6:.0f} MB: too large for dataset.max_megapixels = {max_megapixels:g}"
            )
        return path.read_bytes() if row is None else hdf5.png(path, *row[1:])
    except (KeyError, IndexError) as error:
        raise BadPhoto(f"no such row: {error}") from None
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError from None
        # RuntimeError: a link that leads to itself, before Python 3.13
        reason = getattr(error, "strerror", None) or "a symbolic link that leads to itself"
        raise BadPhoto(f"cannot be read: {reason}") from None
