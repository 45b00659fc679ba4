"""A prepared folder with twelve photos of 64 x 64 pixels, two of them odd, and a synthetic twin of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adrefine.detectors.base import Images
from fakes import pixel_store
from trees import save

COUNT, SIDE = 12, 64


def plate(seed: int) -> np.ndarray:
    """A striped photo, like all others but for a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    values = 120 + 40 * np.sin(x / 4) + 20 * (y > 30) + rng.normal(0, 3, (SIDE, SIDE))
    return np.clip(values, 0, 255).astype(np.uint8)


def write_photos(folder: Path) -> Images:
    """The photos and what pretrain_pdn would make of them; p10 and p11 have a dark square."""
    names = [f"p{number:02d}" for number in range(COUNT)]
    spot = np.zeros((SIDE, SIDE), np.uint8)
    spot[20:36, 24:40] = 255
    photos, twins = {}, []
    for seed, name in enumerate(names):
        photo = plate(seed)
        own = np.where((seed > 9) & (spot > 0), 10, photo).astype(np.uint8)
        photos[name] = save(folder / f"own/{name}.png", own)
        changed = save(folder / f"twin/{name}.png", np.where(spot > 0, 255 - photo, photo).astype(np.uint8))
        mask = save(folder / f"mask/{name}.png", spot)
        twins.append(
            {"image_id": f"{name}_0", "path": str(changed), "mask_path": str(mask), "source_id": name}
        )
    other = save(folder / "generic/g.png", np.random.default_rng(9).integers(0, 255, (80, 70, 3), np.uint8))
    return pixel_store(folder / "prepared", photos, twins, [other])


@pytest.fixture(scope="session")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return write_photos(tmp_path_factory.mktemp("striped"))
