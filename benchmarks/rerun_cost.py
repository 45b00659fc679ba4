"""What a changed λ and a run with nothing to do cost beyond the work itself.

    python -m benchmarks.rerun_cost

Clones the repository to a temporary folder, runs the graph on small demo photos, asks `dvc status` and
`dvc repro` by turns while nothing is to do, then changes `irp.lambda` and runs `dvc repro` again. Overhead is
the wall time without the seconds that refine and evaluate report for their own work: starting DVC and Python,
importing torch, hashing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml

from adrefine.io import read_json, write_json
from benchmarks import common

ROOT = Path(__file__).parent.parent
SMALL = {
    "dataset": {"image_size": 128},
    "embed": {"scales": [128], "views": 1},
    "synthesize": {"per_image": 0},
    "refine": {"strategy": "irp"},
    "evaluate": {"gallery": 2, "localize": 2},
}


def main() -> None:
    """Print and store seconds of the λ change and of the run with nothing to do, the median of several."""
    parser = argparse.ArgumentParser(description="cost of a changed λ")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        settings(clone, SMALL)
        dvc(clone, "repro")
        idle = [(dvc(clone, "status"), dvc(clone, "repro")) for _ in range(args.repeats)]
        runs = sorted(
            (changed(clone, 1.2 + 0.01 * number) for number in range(args.repeats)),
            key=lambda run: run["seconds"],
        )
    run = runs[len(runs) // 2]
    overhead = run["seconds"] - run["refine"] - run["evaluate"]
    result = {
        "repeats": args.repeats,
        "status": round(median(seconds for seconds, _ in idle), 2),
        "nothing_to_do": round(median(seconds for _, seconds in idle), 2),
        "lambda_change": {name: round(value, 2) for name, value in run.items()},
        "overhead": round(overhead, 2),
        "overhead_per_stage_run": round(overhead / 2, 2),
    }
    write_json(common.RESULTS / "rerun_cost.json", result)
    print(result)


def settings(clone: Path, changes: dict[str, dict[str, object]]) -> None:
    """Lay `changes` over the clone's params.yaml."""
    path = clone / "params.yaml"
    content = yaml.safe_load(path.read_text())
    for section, keys in changes.items():
        content[section] |= keys
    path.write_text(yaml.safe_dump(content))


def dvc(clone: Path, command: str) -> float:
    """Seconds of a command of DVC in the clone, with the clone's own code."""
    environment = os.environ | common.code_of(clone) | {"DO_NOT_TRACK": "1"}
    start = time.perf_counter()
    subprocess.run(["dvc", command, "-q"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def changed(clone: Path, value: float) -> dict[str, float]:
    """Seconds of `dvc repro` after λ became `value`, and of the work of the two stages that ran."""
    settings(clone, {"irp": {"lambda": value}})
    seconds = dvc(clone, "repro")
    work = read_json(clone / "reports" / "timing.json")
    return {"seconds": seconds, **{stage: work[stage]["seconds"] for stage in ("refine", "evaluate")}}


if __name__ == "__main__":
    main()
