"""Engines and precisions of the frozen networks on this CPU, in turns, beside torch in float32.

    python -m benchmarks.engines [--photos 60]

Milliseconds a photo on one thread, the quickest of the rounds: maps of places and pooled vectors (default
settings, photos of 448²), and the patch network as a teacher (256²). Then photos a second from PNG files to
maps of places with all threads that the process may use, the best of the rounds. To results/engines.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from adrefine.backbones import engine, pdn
from adrefine.features.extract import Extractor
from adrefine.io import write_json
from adrefine.params import Embed, Runtime
from adrefine.places.embed import embed_places
from adrefine.places.extract import PlacesExtractor
from adrefine.runtime import hardware
from benchmarks import common

PARAMS, ROUNDS = Embed(), 7
KINDS = {
    f"{name} {precision}": Runtime(engine=name, precision=precision)
    for name in ("torch", "openvino")
    for precision in ("f32", "bf16")
}


def main() -> None:
    """Time every network and the way from files, write and print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=60)
    torch.set_num_threads(1)
    makers = {"places": _places, "vectors": _vectors, "teacher": _teacher}
    kinds = {kind: runtime for kind, runtime in KINDS.items() if _possible(runtime)}
    result = {
        "processor": _processor(),
        "threads": hardware.threads(),
        "milliseconds a photo": {
            name: _ratios({kind: make(runtime) for kind, runtime in kinds.items()})
            for name, make in makers.items()
        },
        "photos a second from files": from_files(kinds, parser.parse_args().photos),
    }
    write_json(common.RESULTS / "engines.json", result)
    print(result)


def from_files(kinds: dict[str, Runtime], photos: int) -> dict[str, float]:
    """Photos a second of every kind, the best of three rounds in turns, and times as fast as torch f32."""
    best = dict.fromkeys(kinds, 0.0)
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), []
        for number in range(photos):
            pixels = np.random.default_rng(number).integers(0, 255, (56, 56), dtype=np.uint8)
            rows.append({"image_id": f"{number:04d}", "path": str(folder / f"{number:04d}.png")})
            Image.fromarray(pixels).resize((448, 448)).save(rows[-1]["path"])
        for turn in range(3):
            for kind, runtime in kinds.items():
                start = time.perf_counter()
                embed_places(pd.DataFrame(rows), PARAMS, folder / "out", folder / f"{kind}-{turn}", runtime)
                best[kind] = max(best[kind], photos / (time.perf_counter() - start))
    rates = {kind: round(rate, 1) for kind, rate in best.items()}
    return rates | {
        f"{kind} × torch f32": round(best[kind] / best["torch f32"], 2) for kind in list(rates)[1:]
    }


def _ratios(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(ROUNDS):
        for kind, job in jobs.items():
            start = time.perf_counter()
            job()
            best[kind] = min(best[kind], 1e3 * (time.perf_counter() - start))
    rounded = {kind: round(value, 1) for kind, value in best.items()}
    return rounded | {
        f"{kind} × torch f32": round(best["torch f32"] / best[kind], 2) for kind in list(rounded)[1:]
    }


def _possible(runtime: Runtime) -> bool:
    """Whether this processor has units for it."""
    try:
        engine.start(torch.nn.Identity(), runtime)
    except engine.UserError:
        return False
    return True


def _places(runtime: Runtime) -> Callable[[], object]:
    return partial(PlacesExtractor(PARAMS, runtime).extract, torch.rand(1, 1, 448, 448))


def _vectors(runtime: Runtime) -> Callable[[], object]:
    return partial(Extractor(PARAMS, runtime).extract, torch.rand(1, 1, 448, 448))


def _teacher(runtime: Runtime) -> Callable[[], object]:
    made = engine.start(pdn.read().network().eval().requires_grad_(False), runtime)
    return torch.inference_mode()(partial(made, torch.rand(1, 3, 256, 256)))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
