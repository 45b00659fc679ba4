"""adrefine's padim beside anomalib's PaDiM and PatchCore: the same photos, machine and run.

    python -m benchmarks.peers.run --python /path/of/anomalib/venv/bin/python [--photos 300] [--new 40]

anomalib needs an environment of its own (`pip install 'anomalib==2.7.*'`). Photos are JPEGs of 1 MP of
generated parts. Each model is a process of its own with two threads, one after the other. From folder to
model all decode the photos; then new photos are predicted one by one, score and map, decoding included:
the median counts. `times adrefine's` is of CPU seconds, which other work on the machine hardly touches.
Imports are not counted.
To results/peers.csv and peers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from adrefine.io import write_csv, write_text
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.scale import make

HERE = Path(__file__).parent


def main() -> None:
    """Make the photos, run all, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", required=True, help="of the environment with anomalib")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--new", type=int, default=40)
    parser.add_argument("--work", type=Path, default=Path(".adrefine/peers"))
    args = parser.parse_args()
    good, new = photos(args.work.resolve(), args.photos, args.new)
    commands = {
        "adrefine padim": [sys.executable, "-m", "benchmarks.peers.with_adrefine", str(good), str(new)],
        **{
            f"anomalib {title}": [args.python, str(HERE / "with_anomalib.py"), name, str(good), str(new)]
            for name, title in (("padim", "PaDiM"), ("patchcore", "PatchCore"))
        },
    }
    rows = [{"model": name, **_run(command)} for name, command in commands.items()]
    table = pd.DataFrame(rows)
    first = table["CPU seconds to the model"].iloc[0]
    table["times adrefine's"] = (table["CPU seconds to the model"] / first).round(1)
    write_csv(RESULTS / "peers.csv", table)
    lines = "\n".join(markdown(list(table.columns), table.itertuples(index=False)))
    text = (
        f"`python -m benchmarks.peers.run`: {args.photos} JPEGs of 1 MP, two threads, load of the machine "
        f"{os.getloadavg()[1]:.1f} of {os.cpu_count()} cores.\n\n{lines}"
    )
    write_text(RESULTS / "peers.md", text)
    print(text)


def photos(work: Path, count: int, new: int) -> tuple[Path, Path]:
    """Folders of `count` good photos and of `new` others."""
    make(work / "all", 2 * (count + new), 1000)
    files = sorted((work / "all").rglob("good/*.jpg"))
    folders = work / f"good{count}" / "good", work / f"new{new}"
    for folder, paths in zip(folders, (files[:count], files[count : count + new]), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if not (folder / path.name).exists():
                os.link(path, folder / path.name)
    return folders


def _run(command: list[str]) -> dict[str, object]:
    both = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=both)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    record: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return record


if __name__ == "__main__":
    main()
