"""What `dataset.fit: auto` decides on real products and why, and what turning gains, would cost, and takes.

    python -m benchmarks.places.pose --data FOLDER --auroc screw pill bottle --seconds pill

FOLDER holds a folder a product, each optional: `screw`, `bottle`, `pill` (layout folder), `ksdd` (mvtec),
`mtd`. The generated demo is always there. Figures are those of the training photos, which ingest decides by.
AUROC: a shrunken Gaussian at each of 10 x 10 places of blocks 13 and 19 of EfficientNet-Lite1 at 320 pixels,
48 random directions each, 100 training photos, mean of three draws; all other good photos and all defects are
tested; with `dataset.fit` stretch and part. Seconds: of the processor, one process, the first 300 good
photos, empty side caches, in turns, the median of three.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image

from adrefine import manifest
from adrefine.backbones.lite import Lite
from adrefine.datasets import locate
from adrefine.ingestion.pipeline import ingest
from adrefine.io import read_json, write_json
from adrefine.metrics.detection import auroc
from adrefine.params import Dataset, parse
from adrefine.places.sums import Sums, photo_scores

RESULT = Path(__file__).parents[1] / "results" / "pose.json"
LAYOUTS = {
    "screw": "folder",
    "bottle": "folder",
    "pill": "folder",
    "ksdd": "mvtec",
    "mtd": "mtd",
    "demo": "demo",
}
SIDE, PLACES, CHANNELS, BLOCKS = 320, 10, 48, (13, 19)
N_TRAIN, SHRINKAGE, TOP, DRAWS = 100, 0.1, 0.05, 3
TIMED, ROUNDS = 300, 3


def main() -> None:
    """Decide on every product, measure, write and print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--auroc", nargs="*", default=["screw"])
    parser.add_argument("--seconds", nargs="*", default=["pill"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for product in LAYOUTS:
        if product != "demo" and not (chosen.data / product).is_dir():
            continue
        decided = _decide(_dataset(product, chosen.data, "auto"))
        if product in chosen.auroc:
            decided["auroc"] = {
                fit: _auroc(_dataset(product, chosen.data, fit)) for fit in ("stretch", "part")
            }
        if product in chosen.seconds:
            decided["seconds"] = _seconds(product, chosen.data)
        result[product] = decided
        print(product, decided, flush=True)
    write_json(RESULT, result)


def _dataset(product: str, data: Path, fit: str) -> Dataset:
    root = {} if product == "demo" else {"root": str((data / product).resolve())}
    return parse({"dataset": {"name": LAYOUTS[product], "fit": fit, **root}}).dataset


def _decide(dataset: Dataset) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        ingest(dataset, Path(scratch) / "ingested")
        summary = read_json(Path(scratch) / "ingested/summary.json")
    return {key: summary[key] for key in ("photos", "fit", "fit_reason", "fit_figures", "not_turned")}


def _auroc(dataset: Dataset) -> float:
    """Mean over draws of the training photos."""
    with tempfile.TemporaryDirectory() as scratch:
        ingest(dataset, Path(scratch) / "ingested")
        table = manifest.read(Path(scratch) / "ingested/manifest.csv")
        table = table[table["label"] != manifest.UNKNOWN].reset_index(drop=True)
        maps = _maps(table["path"])
    good = np.flatnonzero(table["label"] == manifest.GOOD)
    values = []
    for draw in range(DRAWS):
        train = np.random.default_rng(draw).permutation(good)[:N_TRAIN]
        tested = np.setdiff1d(np.arange(len(table)), train)
        distances = Sums.of(maps[train]).model(SHRINKAGE).distances(maps[tested])
        values.append(auroc(table["label"][tested], photo_scores(distances, TOP)))
    return round(statistics.mean(values), 3)


def _maps(paths: pd.Series) -> npt.NDArray[np.float32]:
    """(n, 100, 96)."""
    network = Lite(1, BLOCKS).eval()
    rng = np.random.default_rng(0)
    directions = [
        torch.from_numpy(np.linalg.qr(rng.standard_normal((width, CHANNELS)))[0]).float()
        for width in network.channels
    ]
    return np.stack([_map(network, directions, Path(path)) for path in paths])


@torch.inference_mode()
def _map(network: Lite, directions: list[torch.Tensor], path: Path) -> npt.NDArray[np.float32]:
    with Image.open(path) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(small, dtype=np.float32) / 255).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(values)[:, None, None] for values in (network.mean, network.std))
    pooled = (
        torch.nn.functional.adaptive_avg_pool2d(maps, PLACES) for maps in network.maps((pixels - mean) / std)
    )
    parts = [
        torch.einsum("chw,cd->hwd", maps[0], turn) for maps, turn in zip(pooled, directions, strict=True)
    ]
    return torch.cat(parts, dim=-1).reshape(PLACES**2, -1).numpy()


def _seconds(product: str, data: Path) -> dict[str, float]:
    """Processor time of an ingest of the first TIMED photos with each `fit`."""
    seconds: dict[str, list[float]] = {"stretch": [], "auto": []}
    root = locate(_dataset(product, data, "auto"))
    files = sorted(path for path in (root / "good").rglob("*") if path.is_file())[:TIMED]
    with tempfile.TemporaryDirectory() as scratch:
        for number, file in enumerate(files):
            target = Path(scratch) / "raw" / f"{number:03d}{file.suffix}"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
        for turn in range(ROUNDS):
            for fit in seconds:
                os.environ["ADREFINE_CACHE_DIR"] = f"{scratch}/cache-{turn}-{fit}"
                wanted = {"name": "folder", "root": f"{scratch}/raw", "fit": fit}
                start = time.process_time()
                ingest(parse({"dataset": wanted}).dataset, Path(scratch) / "out", workers=1)
                seconds[fit].append(time.process_time() - start)
        del os.environ["ADREFINE_CACHE_DIR"]
    medians = {fit: round(statistics.median(times), 2) for fit, times in seconds.items()}
    return medians | {"ratio": round(medians["auto"] / medians["stretch"], 3)}


if __name__ == "__main__":
    sys.exit(main())
