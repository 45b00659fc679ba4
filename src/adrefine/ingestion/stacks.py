"""Files that hold more than one picture, of which ingest takes one."""

from __future__ import annotations

from adrefine.ingestion import tiff

_HEAD = 4096  # bytes in which a file says that it is a film


def pictures(data: bytes) -> int:
    """How many pictures as large as the one that is read a file holds; 0: it cannot be told."""
    if tiff.is_one(data):
        try:
            return tiff.pictures(data)
        except Exception:  # ingest says what is wrong with it
            return 0
    if data.startswith(b"\x89PNG") and (place := data.find(b"acTL", 0, _HEAD)) > 0:
        return int.from_bytes(data[place + 4 : place + 8], "big")
    if data[8:12] == b"WEBP" and b"ANIM" in data[:_HEAD]:
        return data.count(b"ANMF")
    return 1
