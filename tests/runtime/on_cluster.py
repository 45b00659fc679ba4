"""What test_cluster.py does on a cluster, in a process of its own: Prefect keeps its settings for good."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from adrefine.detectors.base import Images
from adrefine.detectors.padim.detector import Padim
from adrefine.detectors.padim.settings import Settings
from adrefine.errors import UserError
from adrefine.features import compute, shards
from adrefine.params import Embed
from adrefine.places import embed
from adrefine.places.extract import PlacesExtractor
from adrefine.runtime import cluster, dask_cluster, hardware

PARAMS = Embed.model_validate({"places": {"side": 32, "grid": 2, "components": 4}})
HERE, MARK = Path("cluster"), Path("died")


class Fatal(PlacesExtractor):
    """Ends each worker that has the black photo in its hands, and the first one that has the white."""

    def extract(self, images: torch.Tensor) -> np.ndarray:
        if images.max() == 0 or (images.min() == 1 and not MARK.exists()):
            MARK.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().extract(images)


def embedded(folder: Path, paths: list[Path]) -> int:
    """Places of the photos; returns how many went through the network."""
    images = pd.DataFrame({"image_id": [path.stem for path in paths], "path": [str(path) for path in paths]})
    return embed.embed_places(images, PARAMS, folder / "places", folder / "cache")["computed"]


def learned(folder: Path, paths: list[Path]) -> None:
    """A model of the photos, and the evidence on them."""
    model = Padim(Settings())
    model.fit(Images(tuple(path.stem for path in paths), folder))
    model.save(folder / "model")
    assert model.found is not None
    model.found.table().to_csv(folder / "evidence.csv")


def work() -> None:
    """Photos of which one ends a worker once; then others beside one that always does, and a broken one."""
    harmless, late = (sorted(Path("photos").glob(f"{kind}*")) for kind in ("good", "late"))
    print(f"computed: {embedded(HERE, harmless)}")
    client = dask_cluster.task_runner().client
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1))
    try:
        embedded(HERE, sorted(Path("photos").iterdir()))
    except UserError as error:
        print(f"said: {error}")
    print(f"computed then: {embedded(HERE, [*harmless, *late])}")
    learned(HERE, [*harmless, *late])


if __name__ == "__main__":
    shards.MOST, compute._PIECE = 8, 3
    hardware.threads = lambda: 2  # workers
    embed.PlacesExtractor = Fatal  # type: ignore[misc]
    cluster.run("local", "test", work)
