"""How long a live review takes from one answer to the next photo, on one thread.

    python -m benchmarks.review_speed

Maps and pooled vectors are made up, of the size that `embed` makes by default: time depends on nothing else.
An answer is a confirmed defect, which changes every model; then come the next photo and the estimate. Writes
results/review_speed.json.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable

import numpy as np

from adrefine.io import write_json
from adrefine.places import sharded
from adrefine.review import REMOVE
from adrefine.reviewing.ranking import Ranking
from adrefine.reviewing.session import Session
from benchmarks import common

PHOTOS = (1_000, 10_000)
ANSWERS = 11
PLACES, CHANNELS, POOLED = 100, 96, 384


class Store(sharded.Store):
    """Maps and pooled vectors of photos p0, p1 ..., without twins."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        self.ids = [f"p{number}" for number in range(count)]
        self.row = {name: row for row, name in enumerate(self.ids)}
        self.places = rng.normal(size=(count, PLACES, CHANNELS)).astype(np.float16)
        self.wholes = rng.normal(size=(count, POOLED)).astype(np.float16)

    def maps(self, ids: Iterable[str]) -> np.ndarray:
        return self.places[[self.row[name] for name in ids]]

    def pooled(self, ids: Iterable[str]) -> np.ndarray:
        return self.wholes[[self.row[name] for name in ids]]


def measured(count: int) -> dict[str, float]:
    """Seconds to start, and milliseconds from an answer to the next photo and the estimate: wall clock and
    processor, each the median of answers."""
    store, start = Store(count), time.perf_counter()
    session = Session(Ranking(store, store.ids, twins=False))
    asked, began = session.next()[0], time.perf_counter() - start
    wall, processor = [], []
    for _ in range(ANSWERS):
        clock, used = time.perf_counter(), time.process_time()
        session.answer(asked, REMOVE)
        asked = session.next()[0]
        session.estimate()
        wall.append(1e3 * (time.perf_counter() - clock))
        processor.append(1e3 * (time.process_time() - used))
    times = {"start_s": began, "answer_ms": statistics.median(wall), "worst_answer_ms": max(wall)}
    return {name: round(value, 1) for name, value in times.items()} | {
        "answer_processor_ms": round(statistics.median(processor), 1)
    }


def main() -> None:
    """Measure and write."""
    write_json(common.RESULTS / "review_speed.json", {str(count): measured(count) for count in PHOTOS})


if __name__ == "__main__":
    main()
