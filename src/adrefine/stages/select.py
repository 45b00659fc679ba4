"""Stage select: what the chosen detector reads, by digest; other changes rerun nothing after it."""

from __future__ import annotations

from adrefine import inputs, params, paths
from adrefine.detectors import DETECTORS
from adrefine.io import sha256_file, write_json
from adrefine.registry import installed, origin
from adrefine.runtime import steady


def main() -> None:
    """Read the folders of data/prepared, write data/prepared/selected.json."""
    settings = params.load()
    chosen = settings.chosen_detector
    reads, weights = chosen.reads, paths.watched_weights(f"{settings.detector}.weights", chosen.weights_file)
    selected: dict[str, object] = {"reads": inputs.digests(paths.PREPARED, reads)}
    if package := DETECTORS.added(settings.detector):
        selected["package"] = origin(package)
    if chosen.package:
        selected["computes_with"] = f"{chosen.package} {installed(chosen.package)}"
    if weights:
        selected["weights"] = sha256_file(weights)
    write_json(paths.SELECTED, selected)
    print(f"select: {settings.detector} reads {', '.join(reads)}")


if __name__ == "__main__":
    steady.run("select", main)
