"""A few small photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trees import pixels, save


@pytest.fixture
def photos(tmp_path: Path) -> pd.DataFrame:
    """Twelve grey photos of 72 x 64 pixels."""
    names = [f"p{number:02d}" for number in range(12)]
    paths = [str(save(tmp_path / f"own/{name}.png", pixels(seed, 72, 64))) for seed, name in enumerate(names)]
    return pd.DataFrame({"image_id": names, "path": paths})


@pytest.fixture
def generic(tmp_path: Path) -> Path:
    """A folder with two colour photos, one of them in a sub-folder, and a file that is none."""
    for place, seed in (("one.png", 100), ("deeper/two.jpg", 200)):
        bands = [pixels(seed + band, 80, 70) for band in range(3)]
        save(tmp_path / "generic" / place, np.stack(bands, axis=2))
    (tmp_path / "generic/README.md").write_text("no photo")
    return tmp_path / "generic"
