"""The generated demo: photos of one turned steel flange, good and defective, in the MVTec layout.

A photo depends on (seed, its name) alone. Nothing is shared with `adrefine.defects`: the demo must not reward
a detector for knowing our own generators.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from adrefine.datasets.flange import Bytes, Defect, lay_down, light_of, photograph
from adrefine.datasets.flange_defects import DEFECTS
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.runtime import parallel
from adrefine.runtime.seeds import derived_seed

# Difficulty: scales contrast and size of every defect; lower is harder. Faults of one machine resemble each
# other, which is what makes hidden ones hurt: a detector learns them as one more kind of normal part.
SEVERITY = 1.0
RANGE = (1.0, 2.5)  # of a defect's strength about SEVERITY, log-uniform, so that the difficulty is graded

VERSION = 5  # raise when the pictures change, so that an older demo on disk is made anew
MARKER = ".complete"
BATCH = 8  # photos handed to a process at once
POOL_PIXELS = 8_000_000  # with fewer pixels to render, starting a process pool costs more than it saves


def generate(root: Path, size: int, seed: int, n_good: int = 300, n_defect: int = 100) -> None:
    """Write the demo below `root` in the MVTec layout as grey PNGs of `size` x `size` pixels.

    11 of 15 good photos train, the others test; the defects are spread evenly over the kinds. A complete demo
    with the same parameters is left alone, one with others is replaced. `root` appears whole or not at all.

    Raises:
        UserError: `root` holds files that the demo did not make; they are never deleted.
    """
    wanted = {
        "version": VERSION,
        "severity": SEVERITY,
        "size": size,
        "seed": seed,
        "n_good": n_good,
        "n_defect": n_defect,
    }
    marker = read_json(root / MARKER) if (root / MARKER).exists() else {}
    if marker == wanted:
        return
    _refuse_strangers(root, marker)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as scratch:
        fresh = Path(scratch) / "fresh"
        _write_photos(fresh, size, seed, plan(n_good, n_defect))
        write_json(fresh / MARKER, wanted)
        if root.exists():
            os.replace(root, Path(scratch) / "old")
        try:
            os.replace(fresh, root)
        except OSError:  # another run was faster
            if read_json(root / MARKER) != wanted:
                raise


def plan(n_good: int, n_defect: int) -> list[tuple[str, str]]:
    """Name (path below the root without suffix) and kind (`good` or a key of DEFECTS) of every photo."""
    n_train = round(n_good * 11 / 15)
    photos = [(f"train/good/{i:03d}", "good") for i in range(n_train)]
    photos += [(f"test/good/{i:03d}", "good") for i in range(n_good - n_train)]
    for place, kind in enumerate(DEFECTS):
        photos += [(f"test/{kind}/{i:03d}", kind) for i in range(len(range(place, n_defect, len(DEFECTS))))]
    return photos


def render(size: int, seed: int, name: str, kind: str) -> tuple[Bytes, Bytes]:
    """Render one photo.

    Returns:
        Photo and defect mask (0 or 255), each (size, size). The same name as `good`: the part unharmed.
    """
    draw, film, harm = (
        np.random.default_rng(derived_seed(seed, name, use)) for use in ("scene", "film", "defect")
    )
    scene = lay_down(draw, size)
    defect = Defect(np.zeros((size, size), bool))
    if kind != "good":
        defect = DEFECTS[kind](scene, harm, SEVERITY * float(np.exp(harm.uniform(*np.log(RANGE)))))
    return photograph(light_of(scene, draw, defect), film), defect.mask.astype(np.uint8) * 255


def _refuse_strangers(root: Path, marker: dict[str, int]) -> None:
    photos = plan(marker.get("n_good", 0), marker.get("n_defect", 0))
    ours = {MARKER, *(f"{name}.png" for name, _ in photos), *(_mask_name(name) for name, _ in photos)}
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    if there - ours:
        raise UserError(
            f"{root} holds files that the demo did not make ({min(there - ours)}): "
            "move them away, or give the demo a folder of its own"
        )


def _mask_name(name: str) -> str:
    return name.replace("test", "ground_truth", 1) + "_mask.png"


def _write_photos(root: Path, size: int, seed: int, photos: list[tuple[str, str]]) -> None:
    written = parallel.stream(
        partial(_write_photo, root, size, seed),
        photos,
        label="demo",
        unit="photo",
        name=lambda photo: photo[0],
        batch=BATCH,
        workers=1 if len(photos) * size**2 < POOL_PIXELS else None,
    )
    deque(written, maxlen=0)


def _write_photo(root: Path, size: int, seed: int, photo: tuple[str, str]) -> None:
    name, kind = photo
    picture, mask = render(size, seed, name, kind)
    files = {f"{name}.png": picture} if kind == "good" else {f"{name}.png": picture, _mask_name(name): mask}
    for file, pixels in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / file, compress_level=1)
