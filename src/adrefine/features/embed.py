"""Embed a list of images, taking what is already known from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from adrefine.backbones import files
from adrefine.backbones.engine import Engine
from adrefine.features.extract import Extractor, meta_of, read_image
from adrefine.features.store import VectorCache, write_store
from adrefine.io import sha256_file
from adrefine.params import Embed, Runtime
from adrefine.runtime import progress
from adrefine.runtime.threads import in_order, workers

CODE_VERSION = (
    1  # raise it when a change to this package changes vectors, so that old cache entries are not used
)
_BATCH = {"cpu": 1, "cuda": 16}
_READERS = 4  # threads that hash files
_COMMIT = 64


class Network(Protocol):
    """What turns images into arrays of one `shape`: a frozen backbone and what is made of its maps."""

    engine: Engine
    device: torch.device
    shape: tuple[int, ...]

    def extract(self, images: torch.Tensor) -> np.ndarray:
        """Arrays (b, *shape) float16 of images (b, 1 or 3, h, w) in 0..1."""


def embed(
    images: pd.DataFrame, params: Embed, out: Path, cache: Path, runtime: Runtime | None = None
) -> dict[str, int]:
    """Write the features of `images` (columns image_id, path) to the store `out`.

    Only images whose content the cache does not know go through the backbone.

    Returns:
        {"images": all, "computed": those that went through the backbone}.
    """
    extractor = Extractor(params, runtime)
    settings = params.model_dump(exclude={"preset", "weights", "places"})
    config = configuration(CODE_VERSION, settings, params, extractor)
    vectors = through(extractor, images, config, cache)
    meta = {**meta_of(params), "dim": extractor.dim}
    write_store(out, vectors.ids, vectors.arrays, extractor.shape, meta)
    return {"images": len(vectors.ids), "computed": vectors.computed}


def configuration(version: int, settings: Mapping[str, object], params: Embed, network: Network) -> str:
    """Everything that decides what `network` makes of an image: what the cache's entries go by."""
    digest = " ".join(map(sha256_file, files(params.backbone, params.weights))) or "packaged"
    return f"{version} {settings} {digest} {network.device.type} {network.engine.name}"


@dataclass(frozen=True)
class Found:
    """Arrays of the images `ids`, in that order, and how many of them had to be computed."""

    ids: list[str]
    arrays: Iterator[np.ndarray]
    computed: int


def through(network: Network, images: pd.DataFrame, config: str, cache: Path) -> Found:
    """Arrays of `images` (columns image_id, path) by id, from the cache where it knows their content."""
    ordered = images.sort_values("image_id")
    paths = [Path(path) for path in ordered["path"]]
    with ThreadPoolExecutor(_READERS) as pool:
        keys = list(pool.map(sha256_file, paths))
    known = VectorCache(cache, config, network.shape)
    todo = {key: path for key, path in zip(keys, paths, strict=True)}
    todo = {key: todo[key] for key in known.missing(todo)}
    _compute(todo, network, known)
    return Found(ordered["image_id"].tolist(), known.stream(keys), len(todo))


def _compute(todo: dict[str, Path], network: Network, known: VectorCache) -> None:
    """Send batches through a few threads, each with one CPU core or a share of the GPU; store the vectors.

    On a CPU, threads of one core each never wait for each other inside a layer: as fast as one network on all
    cores when the machine is idle, several times faster when it is not.
    """
    items = list(todo.items())
    size = _BATCH[network.device.type]
    jobs = (items[start : start + size] for start in range(0, len(items), size))
    done: list[tuple[str, np.ndarray]] = []
    with (
        progress.bar(total=len(items), label="embed", unit="image") as bar,
        workers(on_gpu=2) as pool,
    ):
        for ready in in_order(pool, lambda job: _vectors(job, network), jobs):
            bar.update(len(ready))
            done += ready
            if len(done) >= _COMMIT:
                known.put(done)
                done = []
    known.put(done)


def _vectors(job: list[tuple[str, Path]], network: Network) -> list[tuple[str, np.ndarray]]:
    """Vectors by key of one batch; images of one shape go through together."""
    images = [read_image(path) for _, path in job]
    vectors: dict[str, np.ndarray] = {}
    for shape in sorted({image.shape for image in images}):
        members = [(key, image) for (key, _), image in zip(job, images, strict=True) if image.shape == shape]
        batch = torch.stack([image for _, image in members])
        batch = batch.pin_memory() if network.device.type == "cuda" else batch
        vectors |= zip([key for key, _ in members], network.extract(batch), strict=True)
    return list(vectors.items())
