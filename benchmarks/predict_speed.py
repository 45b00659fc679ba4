"""Milliseconds that a photo takes to its score and map, batch 1, in each runtime, on one thread and on two.

    python -m benchmarks.predict_speed [--maps] [--anomalib /path/of/anomalib/venv/bin/python]
    python -m benchmarks.predict_speed --detectors efficientad --name predict_efficientad

adrefine's padim, differnet and efficientad (256²; without zeros around the photo, as anomalib's, and its
preset `fast`), exported from bundles of 30 generated photos of 448². Beside them PatchCore (wide
ResNet50), PaDiM (ResNet18) and EfficientAD-S of anomalib at 256² with random weights, in an environment of
its own that also has openvino and nncf, for int8. From decoded pixels to score, with `--maps` to a map, too;
theirs always make one. On one thread the processor's time, which other work on the machine hardly changes,
on two that of the clock; the quickest of rounds in turns.
To results/predict_speed.json and predict_speed.md, or as `--name` says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from adrefine.backbones.engine import openvino_package
from adrefine.datasets.demo import render
from adrefine.export import formats
from adrefine.export.graph import build
from adrefine.export.photo import given
from adrefine.io import write_json, write_text
from adrefine.prediction.model import load
from adrefine.text import markdown
from benchmarks.common import RESULTS
from benchmarks.trained import bundle_of

SIDE, PHOTOS, ROUNDS, CALIBRATED = 448, 30, 8, 3
DETECTORS: dict[str, dict[str, Any]] = {
    "padim": {},
    "differnet": {"epochs": 2},
    "efficientad": {
        "preset": "short",
        "side": 256,
        "padding": False,
        "steps": 1,
        "batch_size": 1,
        "holdout": 0.0,
    },
    "efficientad instant": {"preset": "fast"},
}
Job = Callable[[], object]


def main() -> None:
    """Train, export, time, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--anomalib", help="python of the environment with anomalib and openvino")
    parser.add_argument("--detectors", nargs="+", choices=list(DETECTORS), default=list(DETECTORS))
    parser.add_argument("--maps", action="store_true", help="time graphs that give a map, too")
    parser.add_argument("--name", default="predict_speed", help="of the results; default: %(default)s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        good = _photos(work / "photos" / "good")
        times: dict[str, dict[str, float]] = {}
        for name in args.detectors:
            detector = name.partition(" ")[0]
            bundle = bundle_of(detector, good, _fresh(work / name), {}, **DETECTORS[name])
            for maps in (False, True) if args.maps else (False,):
                times[f"{name}{', map' if maps else ''}"] = _times(bundle, maps, good, work)
                _write(args.name, times)
        if args.anomalib:
            _write(args.name, times | _peers(args.anomalib))


def _write(name: str, times: dict[str, dict[str, float]]) -> None:
    """What is measured so far: a run that is cut off leaves a table."""
    result = {
        "processor": _processor(),
        "load": round(os.getloadavg()[1], 1),
        "runtimes": [formats.runtime(kind) for kind in formats.FILES],
        "milliseconds": times,
    }
    write_json(RESULTS / f"{name}.json", result)
    write_text(RESULTS / f"{name}.md", rendered(result))
    print(rendered(result))


def rendered(result: dict[str, Any]) -> str:
    """The table in Markdown: one row a model and runtime, one column a number of threads."""
    rows = [
        (model, *key.rsplit(" x", 1)[:1], times, by_runtime.get(f"{key.rsplit(' x', 1)[0]} x2", ""))
        for model, by_runtime in result["milliseconds"].items()
        for key, times in by_runtime.items()
        if key.endswith(" x1")
    ]
    where = f"{result['processor']}, load {result['load']}, {', '.join(result['runtimes'])}"
    clocks = "of the processor on one thread, of the clock on two"
    head = f"`python -m benchmarks.predict_speed`: milliseconds a photo, {clocks}. {where}.\n"
    return "\n".join(
        [head, *markdown(("model", "runtime", "one thread", "two"), rows, ("one thread", "two"))]
    )


def in_turns(jobs: dict[str, Job]) -> dict[str, float]:
    """Milliseconds of each job, the quickest of the rounds after one to warm up: of the processor where the
    name ends with x1, else of the clock."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS + 1):
        for name, job in jobs.items():
            clock = time.process_time if name.endswith(" x1") else time.perf_counter
            start = clock()
            job()
            seconds[name].append(clock() - start)
    return {name: round(1e3 * min(times[1:]), 1) for name, times in seconds.items()}


def _times(bundle: Path, maps: bool, good: Path, work: Path) -> dict[str, float]:
    """Of a bundle's graph in every runtime."""
    model = load(bundle)
    start = given(model.preparation, model.contents.seen, None)
    graph, example = build(model, start, maps)
    seen = []
    for path in sorted(good.iterdir())[:CALIBRATED]:
        with Image.open(path) as image:
            seen.append(np.array(image.convert(start.mode))[None])
    jobs: dict[str, Job] = {}
    for threads in (1, 2):
        jobs[f"torch x{threads}"] = _torch(graph, torch.from_numpy(seen[0]), threads)
    for kind in ("openvino",) if maps else ("onnx", "openvino"):
        folder = _fresh(work / kind)
        formats.write(kind, graph, example, folder)
        jobs |= _opened(kind, folder, "f32", seen[0])
        if kind == "openvino":
            jobs |= _opened(kind, folder, "bf16", seen[0])
        if not maps:
            formats.quantize(kind, folder, seen)
            jobs |= _opened(kind, folder, "int8", seen[0])
    return in_turns(jobs)


def _torch(graph: torch.nn.Module, pixels: torch.Tensor, threads: int) -> Job:
    def job() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            graph(pixels)

    return job


def _opened(kind: str, folder: Path, precision: str, pixels: np.ndarray) -> dict[str, Job]:
    return {
        f"{kind} {precision} x{threads}": _runner(
            kind, folder / formats.FILES[kind], precision, pixels, threads
        )
        for threads in (1, 2)
    }


def _runner(kind: str, file: Path, precision: str, pixels: np.ndarray, threads: int) -> Job:
    if kind == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {formats.INPUT: pixels})
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    core = openvino_package().Core()
    core.set_property({"ENABLE_MMAP": False})  # the file is about to be replaced
    compiled = core.compile_model(file, "CPU", {**hint, "INFERENCE_NUM_THREADS": threads})
    return lambda: compiled([pixels])


def _peers(python: str) -> dict[str, dict[str, float]]:
    script = Path(__file__).parent / "peers" / "speed_of_anomalib.py"
    done = subprocess.run([python, str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    times: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return times


def _photos(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(PHOTOS):
        pixels, _ = render(SIDE, 0, f"speed{number}", "good")
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def _fresh(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
