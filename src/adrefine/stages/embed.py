"""Stage embed: frozen-backbone features of every ingested and synthetic image."""

from __future__ import annotations

from adrefine import inputs, params, paths
from adrefine.errors import exit_cleanly
from adrefine.io import timed


def main() -> None:
    """Read both manifests, write data/prepared/features/, if the chosen detector reads that."""
    settings, out = params.load(), paths.PREPARED / paths.FEATURES
    if paths.FEATURES not in settings.chosen_detector.reads:
        inputs.leave_unused(out)
        print(f"embed: nothing to do, {settings.detector} reads no features")
        return
    import pandas as pd

    from adrefine import manifest
    from adrefine.features.embed import embed

    tables = [manifest.read(folder / paths.MANIFEST) for folder in (paths.INGESTED, paths.SYNTHETIC)]
    images = pd.concat([table[["image_id", "path"]] for table in tables], ignore_index=True)
    with timed(paths.REPORTS / "timing.json", "embed"):
        done = embed(images, settings.embed, out, paths.side_cache("features"))
    print(f"embed: {done['images']} images, {done['computed']} new, the rest from the cache")


if __name__ == "__main__":
    exit_cleanly(main)
