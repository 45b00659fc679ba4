"""What the Prefect flow costs beyond `dvc repro` alone.

    PYTHONPATH=tests python benchmarks/flow_overhead.py

Makes the tests' tiny project in a temporary folder, starts a Prefect server, and runs `dvc repro` and
`python flows/pipeline.py` by turns: with nothing to do, and with refine and evaluate to run (another λ each
time). Seconds are those of the whole command, from its start to its end. The cost is the median of the
differences of neighbours, since a busy machine slows both. Without a server the flow starts one of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import prefect_server
from adrefine.io import write_json
from pipeline import photos, project
from pipeline.project import Project

RESULTS = Path(__file__).parent / "results"
COMMANDS = {"dvc": ["-m", "dvc", "repro"], "flow": ["flows/pipeline.py"]}


def main() -> None:
    """Print and store the medians."""
    parser = argparse.ArgumentParser(description="cost of the flow")
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with TemporaryDirectory() as folder:
        tiny = tiny_project(Path(folder) / "tiny")
        home = Path(folder) / "prefect"
        home.mkdir()
        with prefect_server.started(home) as server:
            seconds(tiny, "flow", server.variables)  # the server's first run is slower
            idle = [
                {name: seconds(tiny, name, server.variables) for name in COMMANDS} for _ in range(repeats)
            ]
            work = [
                {
                    name: seconds(tiny, name, server.variables, 1.3 + 0.01 * (2 * number + turn))
                    for turn, name in enumerate(COMMANDS)
                }
                for number in range(repeats)
            ]
        own = {"PREFECT_HOME": str(home)}
        alone = [seconds(tiny, "flow", own) for _ in range(2)]
    result = {
        "repeats": repeats,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "nothing_to_do": summary(idle),
        "two_stages_run": summary(work),
        "without_server": {"flow": round(median(alone), 2)},
    }
    write_json(RESULTS / "flow_overhead.json", result)
    print(result)


def tiny_project(root: Path) -> Project:
    """The tests' project, run once."""
    root.mkdir()
    project.create(root)
    photos.write_tree(root / project.PHOTOS)
    project.commit(root)
    tiny = Project(root)
    tiny.repro()
    return tiny


def seconds(tiny: Project, name: str, variables: dict[str, str], value: float | None = None) -> float:
    """Seconds of a command, after λ became `value`."""
    if value is not None:
        tiny.set({"irp.lambda": value})
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=tiny.root,
        env=tiny.environment() | variables,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def summary(pairs: list[dict[str, float]]) -> dict[str, float]:
    """Medians of both, and of what the flow takes longer."""
    both = {name: round(median(pair[name] for pair in pairs), 2) for name in COMMANDS}
    return {**both, "cost": round(median(pair["flow"] - pair["dvc"] for pair in pairs), 2)}


if __name__ == "__main__":
    main()
