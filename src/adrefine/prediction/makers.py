"""Inputs of detectors made of new photos, by the code that made those of the training photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from PIL import Image

from adrefine.areas.region import FILE as REGION
from adrefine.bundle import inputs
from adrefine.bundle.contents import INPUTS, Contents, Weights
from adrefine.features.compute import Network
from adrefine.features.extract import Extractor, as_tensor, of_meta
from adrefine.features.store import write_rows
from adrefine.io import read_json, write_csv
from adrefine.params import Embed, EmbedPlaces, Runtime
from adrefine.paths import FEATURES, PIXELS
from adrefine.places.extract import PlacesExtractor
from adrefine.runtime import hardware
from adrefine.runtime.threads import in_order, workers


class Maker(Protocol):
    """Makes one input of data/prepared."""

    def make(
        self, ids: Sequence[str], images: Sequence[Image.Image], files: Sequence[Path], out: Path
    ) -> None:
        """Write the input of `images`, which are also in `files`, to `out`."""


def of(bundle: Path, name: str, contents: Contents) -> Maker:
    """What makes the input `name` for the bundle.

    Raises:
        UserError: weights that an installed package should have are not there, or are others.
    """
    folder = bundle / INPUTS / name
    if name == PIXELS:
        return _Pixels(folder)
    file = inputs.weights_file(bundle, name, contents.backbones.get(name, Weights()))
    runtime = Runtime.model_validate(contents.runtime)
    return _Features(folder, file, runtime) if name == FEATURES else _Places(folder, file, runtime)


class Frozen:
    """What a frozen network makes of images, one image a time on threads of one core, as `embed` does."""

    network: Network

    def arrays(self, images: Sequence[Image.Image]) -> Iterator[np.ndarray]:
        """Rows of the images, in their order."""
        if len(images) == 1:  # a server's photos come one by one: no new threads for each
            with hardware.one_core_each():
                yield self._row(images[0])
            return
        with workers(on_gpu=2) as pool:
            yield from in_order(pool, self._row, images)

    def _row(self, image: Image.Image) -> np.ndarray:
        row: np.ndarray = self.network.extract(as_tensor(image)[None])[0]
        return row


class _Features(Frozen):
    def __init__(self, folder: Path, weights: str | None, runtime: Runtime) -> None:
        self.meta = read_json(folder / "meta.json") | {"weights": weights}
        self.network = Extractor(of_meta(self.meta), runtime)

    def make(
        self, ids: Sequence[str], images: Sequence[Image.Image], files: Sequence[Path], out: Path
    ) -> None:
        """See `Maker`."""
        rows = ((row,) for row in self.arrays(images))
        write_rows(out, list(ids), rows, {"features": self.network.shape}, self.meta)


class _Places(Frozen):
    network: PlacesExtractor

    def __init__(self, folder: Path, weights: str | None, runtime: Runtime) -> None:
        self.meta = read_json(folder / "meta.json") | {"weights": weights}
        places = {name: self.meta[name] for name in EmbedPlaces.model_fields if name in self.meta}
        section = {"backbone": self.meta["backbone"], "weights": weights, "places": places}
        self.network = PlacesExtractor(Embed.model_validate(section), runtime, self.meta.get("inside"))

    def make(
        self, ids: Sequence[str], images: Sequence[Image.Image], files: Sequence[Path], out: Path
    ) -> None:
        """See `Maker`."""
        shapes: dict[str, tuple[int, ...]] = {"maps": self.network.maps, "pooled": (self.network.pooled,)}
        write_rows(out, list(ids), map(self.network.split, self.arrays(images)), shapes, self.meta)


class _Pixels:
    """The photos themselves; the teacher stays where it is, so that it is read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def make(
        self, ids: Sequence[str], images: Sequence[Image.Image], files: Sequence[Path], out: Path
    ) -> None:
        """See `Maker`."""
        out.mkdir(parents=True)
        rows = {"image_id": list(ids), "path": [str(file) for file in files]}
        write_csv(out / "images.csv", pd.DataFrame(rows))
        columns = ["image_id", "path", "mask_path", "source_id"]
        write_csv(out / "synthetic.csv", pd.DataFrame(columns=columns))
        write_csv(out / "generic.csv", pd.DataFrame(columns=["path"]))
        for name in ("pdn.pt", "meta.json", *([REGION] if (self.folder / REGION).exists() else [])):
            (out / name).symlink_to(self.folder / name)
