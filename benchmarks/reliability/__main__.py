"""Run the campaign, or a part of it, and write the table.

python -m benchmarks.reliability                       # what docs/reliability.md shows: half an hour
python -m benchmarks.reliability --scale 0.01 --only inputs
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from adrefine.dvc_driver.left import git
from adrefine.io import read_json, write_json, write_text
from benchmarks.reliability import disk, inputs, kills, own_files, races, runs, table
from benchmarks.reliability.tally import Tally

_PACKAGES = ("adrefine", "dvc", "prefect", "numpy", "pandas", "pillow", "tifffile", "imagecodecs", "pyyaml")
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Run, print and store."""
    parser = argparse.ArgumentParser(description="reliability")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the tries of the committed run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args()
    start, facts = time.monotonic(), {"seed": chosen.seed, **_facts()}
    rows = _others(chosen.out / "reliability.json", chosen.only or PARTS)
    for part in chosen.only or PARTS:
        for tally in run(part, chosen.scale, chosen.seed):
            rows.append({"part": part, **facts, **tally.as_json()})
            print(table.line(rows[-1]), flush=True)
            rows.sort(key=lambda row: PARTS.index(str(row["part"])))
            write_json(chosen.out / "reliability.json", {"rows": rows})
            write_text(chosen.out / "reliability.md", table.render(rows))
    print(f"{(time.monotonic() - start) / 60:.1f} minutes")


def _facts() -> dict[str, object]:
    """What was tried: the commit, and whether files differed from it; versions; the machine."""
    root = Path(__file__).parent
    commit, differs = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain", "-uno", ":/src", ".")
    return {
        "commit": f"{commit}{' and changes' if differs else ''}",
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in _PACKAGES},
        "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
    }


def _others(path: Path, ran: list[str]) -> list[dict[str, object]]:
    """Rows of an earlier run of other parts."""
    return [row for row in read_json(path)["rows"] if row["part"] not in ran] if path.exists() else []


def run(part: str, scale: float, seed: int) -> Iterator[Tally]:
    """The tallies of a part, `scale` times as many tries as in the committed run."""

    def many(count: int) -> int:
        return max(1, round(count * scale))

    rng = np.random.default_rng([seed, PARTS.index(part)])
    with TemporaryDirectory() as name:
        folder = Path(name)
        if part == "inputs":
            yield from inputs.photos(many(1600), rng)
            yield inputs.masks(many(500), rng)
            yield inputs.settings(many(1500), rng, folder)
            yield inputs.answers(many(1500), rng, folder)
            (folder / "own").mkdir()
            yield from own_files.all_of(many(2000), rng, folder / "own")
        elif part == "kills":
            yield from kills.small(many(28), rng, folder)
            yield from kills.at_calls(many(14), rng, folder)
            yield from runs.all_kinds(many(8), rng, folder)
            yield from runs.cuts(many(10), rng, folder / "cuts")
        elif part == "races":
            yield from races.all_of(many(10), folder)
        else:
            yield from disk.all_of(many(20), rng)


PARTS = ["inputs", "kills", "races", "disk"]

if __name__ == "__main__":
    main()
