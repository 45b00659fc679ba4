"""A project after `embed`, made in a moment: made-up maps of places, grey photos, nobody is told a label."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd
from PIL import Image

from adrefine import paths
from adrefine.features.store import write_rows
from fakes import MapStore


def write(
    store: MapStore,
    held: Collection[str] = (),
    names: Mapping[str, str] = MappingProxyType({}),
    shared: bool = False,
) -> None:
    """Write the working folder's data/prepared, data/noisy, params.yaml and photos (40 x 30 pixels).

    Args:
        held: ids of held-out photos. names: sources, by id. shared: all photos are one file.
    """
    ids = list(store.content)
    shapes = {"maps": store.maps(ids[:1]).shape[1:], "pooled": store.pooled(ids[:1]).shape[1:]}
    rows = zip(store.maps(ids), store.pooled(ids), strict=True)
    write_rows(
        paths.PREPARED / paths.PLACES,
        ids,
        rows,
        shapes,
        {"side": 5},
        kinds=dict(zip(ids, store.kinds(ids), strict=True)),
    )
    files = ["one.png" if shared else f"{name}.png" for name in store.ids]
    for place, file in enumerate(dict.fromkeys(files)):
        Image.new("L", (40, 30), 64 + place * 3 % 128).save(file)
    table = pd.DataFrame({"image_id": list(store.ids), "path": files, "label": -1, "width": 40, "height": 30})
    table["split"] = ["val" if name in held else "train" for name in store.ids]
    table["source"] = [names.get(name, f"{name}.png") for name in store.ids]
    paths.NOISY.mkdir(parents=True)
    table.assign(in_test=0, scale="").to_csv(paths.NOISY / paths.MANIFEST, index=False)
    settings = "dataset: {name: folder, root: ., roi: }\ndetector: padim\nrefine: {strategy: consensus}\n"
    Path("params.yaml").write_text(settings)
