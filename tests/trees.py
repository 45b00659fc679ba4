"""Tiny dataset trees in the exact layout of the published ones, and photos to fill them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.uint8]


def pixels(seed: int, width: int = 40, height: int = 32) -> Array:
    """A photo unlike any other of another seed: (height, width), smooth structure and noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(20, 236, (5, 5), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    return np.clip(smooth + rng.integers(-8, 9, (height, width)), 0, 255).astype(np.uint8)


def spot(width: int = 40, height: int = 32) -> Array:
    """A mask with one defect of a quarter of the sides."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 4, : width // 4] = 255
    return mask


def save(path: Path, values: Array) -> Path:
    """Write a picture, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def mvtec(
    root: Path, train: int = 12, good: int = 4, defects: tuple[str, ...] = ("scratch", "bent"), each: int = 2
) -> Path:
    """MVTec AD: one class."""
    for number in range(train):
        save(root / f"train/good/{number:03d}.png", pixels(number))
    for number in range(good):
        save(root / f"test/good/{number:03d}.png", pixels(1000 + number))
    for place, kind in enumerate(defects):
        for number in range(each):
            save(root / f"test/{kind}/{number:03d}.png", pixels(2000 + 100 * place + number))
            save(root / f"ground_truth/{kind}/{number:03d}_mask.png", spot())
    (root / "license.txt").write_text("not a photo")
    return root


def ksdd2(
    root: Path, train: int = 10, pool: int = 2, good: int = 4, defects: int = 2, copies: bool = True
) -> Path:
    """KolektorSDD2, with the two stray copies that the published archive holds."""
    for split, first, clean, marked in (("train", 10000, train, pool), ("test", 20000, good, defects)):
        for number in range(clean + marked):
            name = f"{split}/{first + number}"
            mask = spot() if number >= clean else np.zeros((32, 40), np.uint8)
            save(root / f"{name}.png", pixels(first + number))
            save(root / f"{name}_GT.png", mask)
    if copies:
        for name in ("", "_GT"):
            (root / f"train/10001{name} (copy).png").write_bytes(
                (root / f"train/10001{name}.png").read_bytes()
            )
    return root


def mtd(root: Path, good: int = 10, each: int = 1, listed: int | None = 7) -> Path:
    """Magnetic tile defects; `listed`: how many good photos DifferNet's list names, None for no list."""
    for number in range(good):
        save(root / f"MT_Free/Imgs/exp1_num_{number}.jpg", pixels(number))
        save(root / f"MT_Free/Imgs/exp1_num_{number}.png", np.zeros((32, 40), np.uint8))
    for place, kind in enumerate(("Blowhole", "Break", "Crack", "Fray", "Uneven")):
        for number in range(each):
            save(root / f"MT_{kind}/Imgs/exp2_num_{number}.jpg", pixels(1000 + 100 * place + number))
            save(root / f"MT_{kind}/Imgs/exp2_num_{number}.png", spot())
    if listed is not None:
        (root / "differnet_train.txt").write_text(
            "".join(f"exp1_num_{number}.jpg\n" for number in range(listed))
        )
    return root


def folder(root: Path, good: int = 20, defects: int = 4, masks: bool = True) -> Path:
    """Good and defective photos of one's own."""
    for number in range(good):
        save(root / f"good/day {number % 2}/part {number}.png", pixels(number))
    for number in range(defects):
        name = f"scratch/{number}" if number % 2 else f"{number}"
        save(root / f"defect/{name}.jpg", pixels(1000 + number))
        if masks:
            save(root / f"masks/{name}.png", spot())
    return root
