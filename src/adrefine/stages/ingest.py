"""Stage `ingest`: photos under `dataset.root` (or the generated demo) to data/ingested."""

from __future__ import annotations

import sys

from adrefine import io, params
from adrefine.ingestion import pipeline
from adrefine.paths import INGESTED, REPORTS
from adrefine.runtime import steady


def main() -> None:
    """Run the stage."""
    seen: dict[str, float] = {}
    with io.timed(REPORTS / "timing.json", "ingest", lambda: seen):
        summary = pipeline.ingest(params.load().dataset, INGESTED)
        seen.update(decoded=summary.decoded, reused=summary.reused)
    for line in summary.lines():
        print(f"ingest: {line}")
    for line in summary.warnings:
        print(f"ingest: warning: {line}", file=sys.stderr)


if __name__ == "__main__":
    steady.run("ingest", main)
