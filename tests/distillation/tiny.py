"""Settings that distil in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adrefine.params import PretrainPdn


def settings(generic: Path, **changes: Any) -> PretrainPdn:
    """From scratch, in tiny steps, with the images in `generic`."""
    tiny = {"init": "scratch", "steps": 4, "side": 64, "batch_size": 2, "norm_images": 4}
    return PretrainPdn(**{**tiny, "images": str(generic), **changes})
