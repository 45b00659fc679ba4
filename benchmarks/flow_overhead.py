"""What the Prefect flow costs beyond `dvc repro` alone.

    PYTHONPATH=tests python -m benchmarks.flow_overhead

Makes the tests' tiny project in a temporary folder, starts a Prefect server, and runs `dvc repro` and
`python flows/pipeline.py` by turns: with nothing to do, and with evaluate to run (another setting each time).
Seconds are those of the whole command, from its start to its end; its processor seconds, those of all that it
started included, are beside them, since others on the machine stretch the former. The cost is the median of
the differences of neighbours. Without a server the flow starts one of its own. `late` is the flow with DVC
started after the import of Prefect, not beside it, and with the garbage collector on.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import prefect_server
from adrefine.io import write_json
from pipeline import photos, project
from pipeline.project import Project

RESULTS = Path(__file__).parent / "results"
COMMANDS = {"dvc": ["-m", "dvc", "repro"], "flow": ["flows/pipeline.py"], "late": ["flows/late.py"]}
EARLY = ("EARLY = Repro()", "gc.disable()")  # lines of the flow that `late` has not


def main() -> None:
    """Print and store the medians."""
    parser = argparse.ArgumentParser(description="cost of the flow")
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    result: dict[str, Any] = {"repeats": repeats, "cores": os.cpu_count()}
    with TemporaryDirectory() as folder:
        tiny = tiny_project(Path(folder) / "tiny")
        home = Path(folder) / "prefect"
        home.mkdir()
        with prefect_server.started(home) as server:
            measure(tiny, "flow", server.variables)  # the server's first run is slower
            result["nothing_to_do"] = compared(tiny, server.variables, repeats, [])
            fresh = [0.011 + 0.0001 * number for number in range(len(COMMANDS) * repeats)]
            result["evaluate_runs"] = compared(tiny, server.variables, repeats, fresh)
        alone = [measure(tiny, "flow", {"PREFECT_HOME": str(home)})["seconds"] for _ in range(3)]
    result["without_server"] = {"flow": round(median(alone), 2)}
    result["load"] = round(os.getloadavg()[0], 1)
    write_json(RESULTS / "flow_overhead.json", result)
    print(result)


def compared(
    tiny: Project, variables: dict[str, str], repeats: int, values: list[float]
) -> dict[str, float | int]:
    """Medians of both commands by turns, and of what the flow takes longer.

    values: of a setting that evaluate reads, one for each run; without any there is nothing to do.
    """
    left = list(values)
    pairs = []
    for _ in range(repeats):
        pair = {}
        for name in COMMANDS:
            if left:
                tiny.set({"evaluate.target_fpr": left.pop()})
            pair[name] = measure(tiny, name, variables)
        pairs.append(pair)
    record = {}
    for kind, suffix in (("seconds", ""), ("processor", "_processor")):
        for name in COMMANDS:
            record[name + suffix] = round(median(pair[name][kind] for pair in pairs), 2)
        for cost, longer, shorter in (("cost", "flow", "dvc"), ("saved", "late", "flow")):
            each = [pair[longer][kind] - pair[shorter][kind] for pair in pairs]
            record[cost + suffix] = round(median(each), 2)
    print(record, flush=True)
    return record


def tiny_project(root: Path) -> Project:
    """The tests' project, run once."""
    root.mkdir()
    project.create(root)
    photos.write_tree(root / project.PHOTOS)
    project.commit(root)
    flow = (root / "flows/pipeline.py").read_text()
    for line in EARLY:
        assert line in flow
        flow = flow.replace(line, "pass")
    (root / "flows/late.py").write_text(flow)
    tiny = Project(root)
    tiny.repro()
    return tiny


def measure(tiny: Project, name: str, variables: dict[str, str]) -> dict[str, float]:
    """Seconds of a command by the clock and of the processor."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=tiny.root,
        env=tiny.environment() | variables,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - start, "processor": spent}


if __name__ == "__main__":
    main()
