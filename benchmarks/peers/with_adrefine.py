"""padim of adrefine: from a folder to the model, then photo by photo, as `run.py` calls it.

    python -m benchmarks.peers.with_adrefine GOOD_FOLDER NEW_FOLDER

Prints a line of JSON. Folder to model: ingest (decode, hash, duplicates), places of every photo, the
Gaussians with their units out of fold. No twins, no refinement, no report: the others have none.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np


def main() -> None:
    """Train, predict, print."""
    good, new = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        os.environ["ADREFINE_CACHE_DIR"] = str(work / "cache")
        start, used = time.perf_counter(), _cpu()
        from adrefine import load_model
        from benchmarks.trained import bundle_of

        bundle = bundle_of("padim", good, work, {})
        seconds, cpu = time.perf_counter() - start, _cpu() - used

        model = load_model(bundle)
        times = []
        for path in sorted(new.iterdir()):
            begin = time.perf_counter()
            _ = model.predict(path).map
            times.append(time.perf_counter() - begin)
    print(
        json.dumps(
            {
                "version": f"adrefine, openvino {metadata.version('openvino')}",
                "seconds to the model": round(seconds, 1),
                "CPU seconds to the model": round(cpu, 1),
                "milliseconds a photo": round(1000 * float(np.median(times)), 1),
                "peak MB": round(
                    max(
                        resource.getrusage(who).ru_maxrss
                        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
                    )
                    / 1024
                ),
            }
        )
    )


def _cpu() -> float:
    """Seconds of this process and of its children that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


if __name__ == "__main__":
    main()
