"""Tiny photos of a milled plate, good and defective, in the MVTec layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 64
TRAIN, TEST, DEFECTS = 34, 8, {"scratch": (3, 24), "hole": (12, 12)}  # defects: height, width
EACH = 7


def plate(number: int) -> npt.NDArray[np.float64]:
    """Grooves under a light from one side, with sensor noise; (SIDE, SIDE), about 0 to 255."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:SIDE, :SIDE]
    light = y / SIDE * rng.uniform(10, 40)
    return 100 + light + 30 * np.sin(x / 3 + rng.uniform(0, 6)) + rng.normal(0, 9, (SIDE, SIDE))


def save(path: Path, values: npt.NDArray[np.float64]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(path)
    return path


def write_tree(root: Path) -> None:
    """TRAIN and TEST good photos, EACH of every kind in DEFECTS with masks."""
    for number in range(TRAIN):
        save(root / f"train/good/{number:03d}.png", plate(number))
    for number in range(TEST):
        save(root / f"test/good/{number:03d}.png", plate(1000 + number))
    for place, (kind, shape) in enumerate(DEFECTS.items()):
        for number in range(EACH):
            values, mask = damaged(2000 + 100 * place + number, shape)
            save(root / f"test/{kind}/{number:03d}.png", values)
            save(root / f"ground_truth/{kind}/{number:03d}_mask.png", mask)


def damaged(number: int, shape: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """A plate with a darker rectangle of `shape` (height, width), and its mask."""
    rng = np.random.default_rng(number + 1)
    top, left = (rng.integers(4, SIDE - side - 4) for side in shape)
    mask = np.zeros((SIDE, SIDE))
    mask[top : top + shape[0], left : left + shape[1]] = 255
    return plate(number) - mask * rng.uniform(0.04, 0.25), mask
