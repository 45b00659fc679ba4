"""Photos a second and peak memory of ingest and validate on 10,000 generated photos, of 1,000 for comparison,
and of an ingest again.

    python -m benchmarks.ingest_10k [--photos 10000]

Each stage is a process of its own; its peak is the largest sum over it and its children of the proportional
set size (memory shared by n processes counts 1/n in each), sampled five times a second. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from adrefine.io import read_json, write_json
from adrefine.runtime.hardware import cores

RESULT = Path(__file__).parent / "results" / "ingest_10k.json"
SIDE, WORKING_SIZE = 160, 128
PARAMS = f"dataset: {{name: mvtec, root: raw, image_size: {WORKING_SIZE}}}\n"


def make(root: Path, photos: int) -> None:
    """The MVTec layout: nine of ten photos train, the rest test, every tenth of these defective with a
    mask."""
    part = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < 0.4 * SIDE
    mask = Image.fromarray((np.mgrid[:SIDE, :SIDE].sum(axis=0) < 40).astype(np.uint8) * 255)
    for folder in ("train/good", "test/good", "test/pit", "ground_truth/pit"):
        (root / folder).mkdir(parents=True)
    for number in range(photos):
        rng = np.random.default_rng(number)
        texture = np.asarray(
            Image.fromarray(rng.integers(0, 60, (12, 12), dtype=np.uint8)).resize((SIDE, SIDE))
        )
        values = 40 + 100 * part + texture + rng.integers(0, 16, (SIDE, SIDE))
        kind = "train/good" if number % 10 else "test/pit" if number % 100 == 0 else "test/good"
        Image.fromarray(values.astype(np.uint8)).save(root / kind / f"{number:05d}.jpg", quality=92)
        if kind == "test/pit":
            mask.save(root / "ground_truth/pit" / f"{number:05d}_mask.png")


def run(folder: Path, stage: str) -> dict[str, float]:
    """Run a stage on the photos in `folder/raw`: seconds, photos a second, peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"adrefine.stages.{stage}"], cwd=folder, stderr=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(_memory(pid) for pid in _family(process.pid)))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{stage} failed with exit code {process.returncode}")
    seconds = time.perf_counter() - start
    photos = sum(1 for _ in (folder / "data/ingested/images").iterdir())
    return {
        "photos": photos,
        "seconds": round(seconds, 2),
        "photos_per_second": round(photos / seconds, 1),
        "peak_memory_mb": round(peak, 1),
    }


def ingest(folder: Path) -> dict[str, float]:
    """As `run`, with the number of photos that were decoded and not taken from the side cache."""
    figures = run(folder, "ingest")
    return figures | {"decoded": read_json(folder / "reports/timing.json")["ingest"]["decoded"]}


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        try:
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=10_000)
    photos = parser.parse_args().photos
    results: dict[str, object] = {
        "photo_side": SIDE,
        "image_size": WORKING_SIZE,
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 1),  # of other work on the machine
    }
    for name, count in (("tenth", photos // 10), ("all", photos)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            make(folder / "raw", count)
            (folder / "params.yaml").write_text(PARAMS)
            results[name] = {"ingest": ingest(folder), "validate": run(folder, "validate")}
            if name == "all":
                results["again"] = {"ingest": ingest(folder)}
    write_json(RESULT, results)
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
