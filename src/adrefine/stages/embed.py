"""Stage embed: what a frozen backbone sees in every ingested and synthetic image."""

from __future__ import annotations

from adrefine import inputs, params, paths
from adrefine.io import timed
from adrefine.runtime import cluster, steady


def main() -> None:
    """Read both manifests, write data/prepared/places/, and features/ if the chosen detector reads that."""
    import pandas as pd

    from adrefine import manifest
    from adrefine.areas import region
    from adrefine.features.embed import embed
    from adrefine.places.embed import embed_places

    settings, cache = params.load(), paths.side_cache("features")
    paths.watched_weights("embed.weights", settings.embed.weights)
    tables = [manifest.read(folder / paths.MANIFEST) for folder in (paths.INGESTED, paths.SYNTHETIC)]
    images = pd.concat(tables, ignore_index=True)[["image_id", "path", "kind"]]
    with timed(paths.REPORTS / "timing.json", "embed"):
        done = embed_places(
            images,
            settings.embed,
            paths.PREPARED / paths.PLACES,
            cache,
            settings.runtime,
            region.find(paths.INGESTED),
        )
        print(f"embed: {done['images']} images, {done['computed']} new, the rest from the cache")
        features = paths.PREPARED / paths.FEATURES
        if paths.FEATURES in settings.chosen_detector.reads:
            done = embed(images, settings.embed, features, cache, settings.runtime)
            print(f"embed: features of {done['images']} images, {done['computed']} new")
        else:
            inputs.leave_unused(features)
            print(f"embed: {settings.detector} reads no features")


if __name__ == "__main__":
    steady.run("embed", lambda: cluster.run(params.load().runtime.cluster, "embed", main))
