"""Where every random choice starts. Results follow from it, so every stage that uses it depends on it."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derived_seed(*parts: object) -> int:
    """A 64-bit seed that depends on `parts` alone, so order and number of workers never matter."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def drawn(share: float, *parts: object) -> bool:
    """Whether what `parts` name is among a random `share` (0 to 1); nothing else has a say in it."""
    return derived_seed(*parts) / 2**64 < share


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch, numpy and random for libraries that draw globally; returns a CPU generator."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  FrEIA permutes with numpy's global generator
    torch.manual_seed(seed)
    # As `use_deterministic_algorithms(True, warn_only=True)`, which also imports torch's compiler: a second.
    torch.set_deterministic_debug_mode("warn")
    return torch.Generator().manual_seed(seed)
