"""Embed a list of images, taking what is already known from the cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from adrefine.features.extract import Extractor, read_image
from adrefine.features.store import VectorCache, write_store
from adrefine.io import sha256_file
from adrefine.params import Embed
from adrefine.runtime import progress
from adrefine.runtime.threads import in_order, workers

CODE_VERSION = (
    1  # raise it when a change to this package changes vectors, so that old cache entries are not used
)
_BATCH = {"cpu": 1, "cuda": 16}
_READERS = 4  # threads that hash files
_COMMIT = 64


def embed(images: pd.DataFrame, params: Embed, out: Path, cache: Path) -> dict[str, int]:
    """Write the features of `images` (columns image_id, path) to the store `out`.

    Only images whose content the cache does not know go through the backbone.

    Returns:
        {"images": all, "computed": those that went through the backbone}.
    """
    extractor = Extractor(params)
    shape = (params.views, extractor.dim)
    ordered = images.sort_values("image_id")
    paths = [Path(path) for path in ordered["path"]]
    with ThreadPoolExecutor(_READERS) as pool:
        keys = list(pool.map(sha256_file, paths))
    known = VectorCache(cache, _config(params, extractor), shape)
    todo = {key: path for key, path in zip(keys, paths, strict=True)}
    todo = {key: todo[key] for key in known.missing(todo)}
    _compute(todo, extractor, known)
    meta = {
        "backbone": params.backbone,
        "scales": list(params.scales),
        "views": params.views,
        "rotate": params.rotate,
        "dim": extractor.dim,
        "weights": params.weights,
    }
    write_store(out, ordered["image_id"].tolist(), known.stream(keys), shape, meta)
    return {"images": len(ordered), "computed": len(todo)}


def _config(params: Embed, extractor: Extractor) -> str:
    weights = sha256_file(Path(params.weights)) if params.weights else "packaged"
    device = extractor.device.type
    return f"{CODE_VERSION} {params.model_dump(exclude={'weights'})} {weights} {device} {extractor.dtype}"


def _compute(todo: dict[str, Path], extractor: Extractor, known: VectorCache) -> None:
    """Send batches through a few threads, each with one CPU core or a share of the GPU; store the vectors.

    On a CPU, threads of one core each never wait for each other inside a layer: as fast as one network on all
    cores when the machine is idle, several times faster when it is not.
    """
    items = list(todo.items())
    size = _BATCH[extractor.device.type]
    jobs = (items[start : start + size] for start in range(0, len(items), size))
    done: list[tuple[str, np.ndarray]] = []
    with (
        progress.bar(total=len(items), label="embed", unit="image") as bar,
        workers(on_gpu=2) as pool,
    ):
        for ready in in_order(pool, lambda job: _vectors(job, extractor), jobs):
            bar.update(len(ready))
            done += ready
            if len(done) >= _COMMIT:
                known.put(done)
                done = []
    known.put(done)


def _vectors(job: list[tuple[str, Path]], extractor: Extractor) -> list[tuple[str, np.ndarray]]:
    """Vectors by key of one batch; images of one shape go through together."""
    images = [read_image(path) for _, path in job]
    found: dict[str, np.ndarray] = {}
    for shape in sorted({image.shape for image in images}):
        members = [(key, image) for (key, _), image in zip(job, images, strict=True) if image.shape == shape]
        batch = torch.stack([image for _, image in members])
        batch = batch.pin_memory() if extractor.device.type == "cuda" else batch
        found |= zip([key for key, _ in members], extractor.extract(batch), strict=True)
    return list(found.items())
