"""The stages of this version beside those of an older checkout, or beside `dvc repro` around them.

    python -m benchmarks.scale_beside --before FOLDER   # results/scale_before.md
    python -m benchmarks.scale_beside --dvc             # results/scale_dvc.json

The photos and figures are those of `benchmarks.scale`. An older version has other defaults (the detector of
8f41e16 is differnet), so its column is what a user waited for then.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from adrefine.io import write_json, write_text
from adrefine.runtime.hardware import threads
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.scale import PARAMS, SOURCE, link, make, measure, run

COLUMNS = {"seconds": "seconds", "cpu_seconds": "CPU seconds", "peak_mb": "peak MB"}


def main() -> None:
    """Make the photos, then compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--before", type=Path, help="an older checkout")
    what.add_argument("--dvc", action="store_true", help="a first `dvc repro`")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path(".adrefine/scale"))
    args = parser.parse_args()
    work = args.work.resolve()
    make(work / "photos", args.photos, 1000)
    if args.dvc:
        write_json(RESULTS / "scale_dvc.json", around(work, args.photos))
        print((RESULTS / "scale_dvc.json").read_text())
    else:
        write_text(RESULTS / "scale_before.md", before(work, args.photos, args.before.resolve()))
        print((RESULTS / "scale_before.md").read_text())


def before(work: Path, count: int, older: Path) -> str:
    """Both versions' stages one after the other, and how many times as long the older one took."""
    settings = with_photos(older, "raw")
    (work / "generic").mkdir(exist_ok=True)  # 8f41e16 wants such a folder, with photos or not
    settings["pretrain_pdn"]["images"] = str(work / "generic")
    tables = [measure(work, count, older, settings), measure(work, count)]
    then, now = (table.set_index("stage")[list(COLUMNS)] for table in tables)
    for table in (then, now):
        sums = table[["seconds", "cpu_seconds"]].sum()
        table.loc["together (memory: the largest)"] = [*sums, table["peak_mb"].max()]
    then = then.reindex(now.index)
    cells = [
        [stage, *(_whole(table.loc[stage, name]) for name in COLUMNS for table in (then, now))]
        for stage in now.index
    ]
    head = ["stage", *(f"{name}, {when}" for name in COLUMNS.values() for when in ("then", "now"))]
    times = then.iloc[-1] / now.iloc[-1]
    told = [
        f"`python -m benchmarks.scale_beside --before`: {count} photos of 1 MP, {threads()} threads, "
        "no cache.",
        f"Then: {_commit(older)} with its defaults, {times['seconds']:.1f} times the seconds of now and",
        f"{times['cpu_seconds']:.1f} times the CPU seconds.",
    ]
    return "\n".join([*told, "", *markdown(head, cells), ""])


def around(work: Path, count: int) -> dict[str, float]:
    """Seconds of the stages alone, and of a first `dvc repro` on the same photos."""
    alone = measure(work, count)["seconds"].sum()
    clone = work / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", SOURCE, clone], check=True)
    link(work, count, clone / "data/raw")
    (clone / "params.yaml").write_text(yaml.safe_dump(with_photos(clone, "data/raw")))
    together = run(clone, ["-m", "dvc", "repro"], clone)["seconds"]
    shutil.rmtree(clone)
    times = together / alone
    return {"photos": count, "stages": round(alone, 1), "dvc": round(together, 1), "times": round(times, 2)}


def with_photos(checkout: Path, root: str) -> dict[str, Any]:
    """The settings of a checkout, for the photos at `root`."""
    settings: dict[str, Any] = yaml.safe_load((checkout / "params.yaml").read_text())
    for section in ("dataset", "noise"):
        settings[section] |= PARAMS[section]
    settings["dataset"]["root"] = root
    return settings


def _whole(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0f}"


def _commit(checkout: Path) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
