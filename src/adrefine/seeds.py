"""Where every random choice starts. Results follow from it, so every stage that uses it depends on it."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: object) -> int:
    """A 64-bit seed that depends on `parts` alone, so order and number of workers never matter."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def drawn(share: float, *parts: object) -> bool:
    """Whether what `parts` name is among a random `share` (0 to 1); nothing else has a say in it."""
    return derived_seed(*parts) / 2**64 < share
