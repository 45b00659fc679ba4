"""Seconds, bytes and peak memory of every stage against the number of photos.

    python -m benchmarks.scale [--photos 300 1000 3000] [--megapixels 1] [--work .adrefine/scale]

Photos are JPEGs of generated parts in the MVTec layout, nine of ten good; a smaller set is part of each
larger one. Every stage is a process of its own, with the detector `padim` and nothing in the side caches. CPU
seconds are those of it and its children: other work on the machine hardly touches them. Memory is the largest
sum of the proportional set sizes (what n processes share counts 1/n in each). Both are sampled five times a
second. To results/scale.csv, scale.md and scale.png, of 12 megapixels scale_12mp.csv and so on.

It fails if a figure grows faster than n^1.15 from one set to the next. Linux only.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image, ImageChops

from adrefine.datasets.demo import render
from adrefine.datasets.flange_defects import DEFECTS
from adrefine.io import atomic_open, write_csv, write_text
from adrefine.runtime.hardware import threads
from adrefine.text import markdown
from benchmarks.common import RESULTS, code_of

STEEPEST = 1.15
FIGURES = {  # judged ones: what they are called, and how much of each start-up and noise decide
    "cpu_seconds": ("CPU seconds", 2.0),
    "megabytes": ("MB written", 1.0),
    "peak_mb": ("peak MB", 200.0),
}
PARTS, HARMED = 40, 12  # generated good and defective parts: photos are these, moved, turned, lit otherwise
PARAMS: dict[str, Any] = {
    "dataset": {"name": "mvtec", "root": "raw"},
    "noise": {"level": 0.05},
    "detector": "padim",
}
SOURCE = Path(__file__).parents[1]


def main() -> None:
    """Make the photos, run the stages on every set, write table and plot, judge the growth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--work", type=Path, default=Path(".adrefine/scale"))
    args = parser.parse_args()
    sizes, work = sorted(args.photos), args.work.resolve()
    make(work / "photos", sizes[-1], round(math.sqrt(args.megapixels * 1e6)))
    table = pd.concat([measure(work, count) for count in sizes], ignore_index=True)
    target = RESULTS / ("scale" if args.megapixels == 1 else f"scale_{args.megapixels:g}mp")
    write_csv(target.with_suffix(".csv"), table)
    write_text(target.with_suffix(".md"), rendered(table, args.megapixels))
    plot(table, target.with_suffix(".png"))
    print(target.with_suffix(".md").read_text())
    if steep := too_steep(table):
        raise SystemExit(f"grows faster than n^{STEEPEST}: " + "; ".join(steep))


def make(root: Path, count: int, side: int) -> None:
    """`count` photos of `side`² pixels, those that are there already left alone.

    The grain is as wide in every size, so that a photo of 12 megapixels has the bytes of a camera's.
    """
    kinds = list(DEFECTS)
    parts = [render(side, 0, f"part{number}", "good") for number in range(PARTS)]
    harmed = [render(side, 0, f"harmed{number}", kinds[number % len(kinds)]) for number in range(HARMED)]
    with ThreadPool(threads()) as pool:
        for _ in pool.imap_unordered(partial(_photo, root, side, parts, harmed), range(count)):
            pass


def _photo(root: Path, side: int, parts: list[Any], harmed: list[Any], number: int) -> None:
    """Photo `number` and, of a defective part, its mask; the photo last, so that it vouches for both."""
    bad, good = number % 10 == 0, "train" if number % 10 > 1 else "test"
    path = root / (f"test/harmed/{number:06d}.jpg" if bad else f"{good}/good/{number:06d}.jpg")
    if path.exists():
        return
    rng, grain = np.random.default_rng(number), max(4, side // 250)
    pixels, mask = harmed[rng.integers(HARMED)] if bad else parts[rng.integers(PARTS)]
    quarter, move = int(rng.integers(4)), tuple(rng.integers(-side // 50, side // 50, 2))
    moved, marked = (np.roll(np.rot90(each, quarter), move, (0, 1)) for each in (pixels, mask))
    noise, kept = rng.integers(0, 9, (side // grain,) * 2).astype(np.uint8), side // grain * grain
    light = np.minimum(np.arange(256) * rng.uniform(0.9, 1.05), 255).astype(np.uint8)
    lit = Image.fromarray(light[moved[:kept, :kept]])
    grains = Image.fromarray(noise).resize((kept, kept), Image.Resampling.NEAREST)
    if bad:
        _save(
            root / f"ground_truth/harmed/{number:06d}_mask.png",
            Image.fromarray(marked[:kept, :kept].astype(np.uint8)),
        )
    _save(path, ImageChops.add(lit, grains), quality=92)


def _save(path: Path, image: Image.Image, **settings: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_open(path) as file:
        image.save(file, "png" if path.suffix == ".png" else "jpeg", **settings)


def link(work: Path, count: int, root: Path) -> None:
    """The first `count` photos and their masks at `root`."""
    for path in sorted((work / "photos").rglob("[0-9]*.*")):
        if int(path.stem.split("_")[0]) < count:
            target = root / path.relative_to(work / "photos")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)


def measure(work: Path, count: int, source: Path = SOURCE, settings: dict[str, Any] = PARAMS) -> pd.DataFrame:
    """A row a stage of the checkout `source` for the first `count` photos: stage, photos and FIGURES."""
    folder = work / f"run-{count}"
    shutil.rmtree(folder, ignore_errors=True)
    link(work, count, folder / "raw")
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    rows = []
    for stage, content in yaml.safe_load((source / "dvc.yaml").read_text())["stages"].items():
        figures = run(folder, content["cmd"].split()[1:], source)
        outs = [name for kind in ("outs", "metrics", "plots") for name in content.get(kind, ())]
        paths = [folder / (next(iter(name)) if isinstance(name, dict) else name) for name in outs]
        rows.append({"photos": count, "stage": stage, **figures, "megabytes": sum(map(_size, paths)) / 1e6})
        print(*rows[-1].values(), flush=True)
    shutil.rmtree(folder)
    return pd.DataFrame(rows)


def run(folder: Path, command: list[str], source: Path) -> dict[str, float]:
    """Seconds and peak memory (MB) of a Python process in `folder`, with the code of `source`."""
    environment = os.environ | code_of(source) | {"ADREFINE_CACHE_DIR": str(folder / "cache")}
    start, peak, used = time.perf_counter(), 0.0, dict[int, float]()
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log
        )
        while process.poll() is None:
            family = _family(process.pid)
            peak = max(peak, sum(map(_memory, family)))
            used |= {pid: max(_cpu(pid), used.get(pid, 0.0)) for pid in family}
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {(folder / 'log.txt').read_text()[-1500:]}")
    return {"seconds": time.perf_counter() - start, "cpu_seconds": sum(used.values()), "peak_mb": peak}


def too_steep(table: pd.DataFrame) -> list[str]:
    """What grows faster than n^STEEPEST from a set to the next larger one, beyond what start-up decides."""
    steep = []
    for figure, (_, noise) in FIGURES.items():
        by_size = table.pivot(index="stage", columns="photos", values=figure)
        for few, many in pairwise(by_size.columns):
            allowed = (by_size[few] + noise) * (many / few) ** STEEPEST
            for stage in by_size.index[by_size[many] > allowed]:
                before, after = by_size.loc[stage, few], by_size.loc[stage, many]
                steep.append(f"{stage} {figure} {before:.1f} for {few} photos, {after:.1f} for {many}")
    return steep


def rendered(table: pd.DataFrame, megapixels: float) -> str:
    """The table in Markdown, a row a stage, and their sum."""
    sizes = sorted(table["photos"].unique())
    by_stage = {stage: rows.set_index("photos") for stage, rows in table.groupby("stage", sort=False)}
    names = {"seconds": "seconds"} | {figure: name for figure, (name, _) in FIGURES.items()}
    cells = [
        [stage, *(f"{rows.loc[n, f]:.0f}" for f in names for n in sizes)] for stage, rows in by_stage.items()
    ]
    together = table.groupby("photos")[list(names)]
    sums = together.sum().assign(peak_mb=together.max()["peak_mb"])
    cells.append(["together (memory: the largest)", *(f"{sums.loc[n, f]:.0f}" for f in names for n in sizes)])
    head = ["stage", *(f"{name}, {n:,}" for name in names.values() for n in sizes)]
    what = f"JPEGs of {megapixels:g} MP, {threads()} threads, detector padim, empty caches"
    return "\n".join([f"`python -m benchmarks.scale`: {what}.", "", *markdown(head, cells), ""])


def plot(table: pd.DataFrame, path: Path) -> None:
    """Each figure against the number of photos, a line a stage."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(FIGURES), figsize=(12, 4), layout="constrained")
    for one, name in zip(axes, FIGURES, strict=True):
        for stage, rows in table.groupby("stage", sort=False):
            one.plot(rows["photos"], rows[name], marker=".", label=stage)
        one.set(xscale="log", yscale="log", xlabel="photos", title=FIGURES[name][0])
    axes[-1].legend(frameon=False, fontsize=7, bbox_to_anchor=(1, 1), loc="upper left")
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _family(pid: int) -> list[int]:
    family, waiting = [], [pid]
    while waiting:
        family.append(waiting.pop())
        try:
            for task in Path(f"/proc/{family[-1]}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return family


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    main()
