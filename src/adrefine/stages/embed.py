"""Stage embed: frozen-backbone features of every ingested and synthetic image."""

from __future__ import annotations

import pandas as pd

from adrefine import manifest, params, paths
from adrefine.errors import exit_cleanly
from adrefine.io import timed


def main() -> None:
    """Read both manifests, write data/prepared/differnet/."""
    from adrefine.features.embed import embed

    settings = params.load()
    tables = [manifest.read(folder / paths.MANIFEST) for folder in (paths.INGESTED, paths.SYNTHETIC)]
    images = pd.concat([table[["image_id", "path"]] for table in tables], ignore_index=True)
    with timed(paths.REPORTS / "timing.json", "embed"):
        done = embed(images, settings.embed, paths.PREPARED / "differnet", paths.side_cache("features"))
    print(f"embed: {done['images']} images, {done['computed']} new, the rest from the cache")


if __name__ == "__main__":
    exit_cleanly(main)
