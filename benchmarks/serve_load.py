"""`adrefine serve-model` under load: requests a second, latencies, errors, and memory over time.

    python -m benchmarks.serve_load          # models/bundle, and the photos of its run
    python -m benchmarks.serve_load --model BUNDLE --photos FOLDER --minutes 1

Clients send photos one after the other, without a pause, over connections that stay open. They run on the
same machine and take their share of it. Every answer is compared with the first of the same photo, to the
bit. Writes results/serve_load.json.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import httpx
import numpy as np
import psutil

from adrefine import paths
from adrefine.io import write_json
from adrefine.prediction import files
from adrefine.runtime import hardware
from benchmarks import common

CLIENTS, MINUTES, PHOTOS = 8, 10.0, 64
EVERY = 5.0  # seconds between two looks at the memory
WARM = 180.0  # seconds until growth is counted: pools, caches and heaps of threads fill first


@dataclass
class Seen:
    """What the clients saw. Lists grow by one call of one thread at a time.

    Attributes:
        seconds: of every answer. errors: by what went wrong. scores: the first of each photo.
    """

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)


@contextmanager
def served(model: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Address and process of a server."""
    command = [sys.executable, "-m", "adrefine", "serve-model", "--model", str(model), "--port", "0"]
    server = Popen(command, stdout=PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[-1], psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def ask(address: str, photos: list[bytes], first: int, end: float, seen: Seen) -> None:
    """One client until the time is over."""
    with httpx.Client(base_url=address, headers={"content-type": "image/png"}, timeout=60) as client:
        for number in itertools.count(first):
            start = time.perf_counter()
            if time.monotonic() > end:
                return
            place = number % len(photos)
            try:
                answer = client.post("/predict", content=photos[place]).raise_for_status().json()
            except httpx.HTTPError as error:
                seen.errors.append(f"{type(error).__name__}: {error}")
                continue
            seen.seconds.append(time.perf_counter() - start)
            if seen.scores.setdefault(place, answer["score"]) != answer["score"]:
                seen.errors.append(f"photo {place} got another score")


def load(address: str, process: psutil.Process, photos: list[bytes], seconds: float) -> dict[str, Any]:
    """All clients at once; the figures."""
    seen, memory = Seen(), []
    begin = time.monotonic()
    clients = [
        threading.Thread(target=ask, args=(address, photos, 7 * number, begin + seconds, seen))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        memory.append((time.monotonic() - begin, process.memory_info().rss / 1e6))
        time.sleep(EVERY)
    return figures(seen, memory, seconds)


def figures(seen: Seen, memory: list[tuple[float, float]], seconds: float) -> dict[str, Any]:
    """Of what was seen; memory is (seconds, MB)."""
    p50, p95, p99 = (round(1e3 * float(value), 1) for value in np.percentile(seen.seconds, [50, 95, 99]))
    warm = np.array([point for point in memory if point[0] >= min(WARM, seconds / 2)])
    slope = float(np.polyfit(warm[:, 0], warm[:, 1], 1)[0]) if len(warm) > 2 else 0.0
    return {
        "answers": len(seen.seconds),
        "answers_per_second": round(len(seen.seconds) / seconds, 2),
        "milliseconds": {"p50": p50, "p95": p95, "p99": p99, "longest": round(1e3 * max(seen.seconds), 1)},
        "errors": len(seen.errors),
        "first_errors": seen.errors[:5],
        "memory_mb": {
            "start": round(memory[0][1]),
            "most": round(max(value for _, value in memory)),
            "end": round(memory[-1][1]),
            "growth_per_hour_once_warm": round(slope * 3600, 1),
            "by_minute": [round(value) for _, value in memory[:: max(1, round(60 / EVERY))]],
        },
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/bundle"))
    parser.add_argument("--photos", type=Path, default=paths.INGESTED / "images")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    chosen = parser.parse_args()
    listed = list(itertools.islice(files.named([str(chosen.photos)]), PHOTOS))
    photos = [path.read_bytes() for path in listed]
    with served(chosen.model) as (address, process):
        said = httpx.get(f"{address}/model", timeout=60).json()
        seen = load(address, process, photos, 60 * chosen.minutes)
    facts = {
        "clients": CLIENTS,
        "minutes": chosen.minutes,
        "photos": len(photos),
        "detector": said["detector"],
        "pixels_of_those_that_trained": said["trained_on"]["width"],
        "cores": hardware.cores(),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
    }
    write_json(common.RESULTS / "serve_load.json", facts | seen)
    print(f"{common.RESULTS / 'serve_load.json'}: {seen['answers']} answers, {seen['errors']} errors")


if __name__ == "__main__":
    main()
