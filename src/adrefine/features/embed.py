"""Embed a list of images, taking what is already known from the cache."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from adrefine import runtime
from adrefine.features.extract import Extractor, read_image
from adrefine.features.store import VectorCache, write_store
from adrefine.io import sha256_file
from adrefine.params import Embed

CODE_VERSION = 1  # raise it when a change to this package changes vectors, so that old cache entries are not used
_BATCH = {"cpu": 1, "cuda": 16}
_READERS = 4
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
    meta = {"backbone": params.backbone, "scales": list(params.scales), "views": params.views,
            "rotate": params.rotate, "dim": extractor.dim, "weights": params.weights}
    write_store(out, ordered["image_id"].tolist(), known.stream(keys), shape, meta)
    return {"images": len(ordered), "computed": len(todo)}


def _config(params: Embed, extractor: Extractor) -> str:
    weights = sha256_file(Path(params.weights)) if params.weights else "packaged"
    device = extractor.device.type
    return f"{CODE_VERSION} {params.model_dump(exclude={'weights'})} {weights} {device} {extractor.dtype}"


def _compute(todo: dict[str, Path], extractor: Extractor, known: VectorCache) -> None:
    done: list[tuple[str, np.ndarray]] = []
    bar = tqdm(total=len(todo), desc="embed", unit="image", disable=not todo)
    for keys, images in _batches(todo, _BATCH[extractor.device.type]):
        done += zip(keys, extractor.extract(images), strict=True)
        bar.update(len(keys))
        if len(done) >= _COMMIT:
            known.put(done)
            done = []
    known.put(done)
    bar.close()


def _batches(todo: dict[str, Path], size: int) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Read ahead in threads; a batch holds images of one shape and at most `size` of them."""
    pending: deque[tuple[str, Future[torch.Tensor]]] = deque()
    keys: list[str] = []
    images: list[torch.Tensor] = []

    def flush() -> tuple[list[str], torch.Tensor]:
        batch = torch.stack(images)
        ready = (list(keys), batch.pin_memory() if runtime.device().type == "cuda" else batch)
        keys.clear()
        images.clear()
        return ready

    remaining = iter(todo.items())
    with ThreadPoolExecutor(_READERS) as pool:
        while True:
            while len(pending) < size + _READERS and (item := next(remaining, None)) is not None:
                pending.append((item[0], pool.submit(read_image, item[1])))
            if not pending:
                break
            key, future = pending.popleft()
            image = future.result()
            if images and (len(images) == size or image.shape != images[0].shape):
                yield flush()
            keys.append(key)
            images.append(image)
        if images:
            yield flush()
