"""Embed a list of images, taking what is already known from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from adrefine.backbones import files
from adrefine.errors import UserError
from adrefine.features import shards
from adrefine.features.compute import Made, Make, Network, Spoiled, computed, kind
from adrefine.features.extract import Extractor, meta_of
from adrefine.features.store import VectorCache, write_store
from adrefine.io import sha256_file
from adrefine.params import Embed, Runtime
from adrefine.runtime import progress

CODE_VERSION = (
    1  # raise it when a change to this package changes vectors, so that old cache entries are not used
)
_READERS = 4  # threads that hash files
_COMMIT = 64


def embed(
    images: pd.DataFrame, params: Embed, out: Path, cache: Path, runtime: Runtime | None = None
) -> dict[str, int]:
    """Write the features of `images` (columns image_id, path) to the store `out`.

    Only images whose content the cache does not know go through the backbone.

    Returns:
        {"images": all, "computed": those that went through the backbone}.
    """
    make = partial(Extractor, params, runtime)
    extractor = make()
    settings = params.model_dump(exclude={"preset", "weights", "places"})
    config = configuration(CODE_VERSION, settings, params, extractor)
    vectors = through(make, extractor, images, config, cache)
    meta = {**meta_of(params), "dim": extractor.dim}
    write_store(out, vectors.ids, vectors.arrays, extractor.shape, meta, vectors.sizes)
    return {"images": len(vectors.ids), "computed": vectors.computed}


def configuration(version: int, settings: Mapping[str, object], params: Embed, network: Network) -> str:
    """Everything that decides what `network` makes of an image: what the cache's entries go by."""
    digest = " ".join(map(sha256_file, files(params.backbone, params.weights))) or "packaged"
    return f"{version} {settings} {digest} {kind(network)}"


@dataclass(frozen=True)
class Found:
    """Arrays of the images `ids`, in that order, and how many of them had to be computed.

    The images are those of one shard after those of another, of these `sizes`.
    """

    ids: list[str]
    sizes: list[int]
    arrays: Iterator[np.ndarray]
    computed: int


def through(make: Make, network: Network, images: pd.DataFrame, config: str, cache: Path) -> Found:
    """Arrays of `images` (columns image_id, path), from the cache where it knows their content.

    Args:
        make, network: what turns images into arrays; the second is one that the first has made.

    Raises:
        UserError: an image cannot be read, or ends the workers that try; the others' arrays are kept.
    """
    order, sizes = shards.arranged(images["image_id"].tolist())
    ordered = images.iloc[order]
    paths = [Path(path) for path in ordered["path"]]
    with ThreadPoolExecutor(_READERS) as pool:
        keys = list(pool.map(sha256_file, paths))
    known = VectorCache(cache, config, network.shape)
    todo = dict(zip(keys, paths, strict=True))
    photos = [(key, todo[key]) for key in known.missing(todo)]
    _keep(computed(photos, make, network, config), len(photos), known)
    return Found(ordered["image_id"].tolist(), sizes, known.stream(keys), len(photos))


def _keep(made: Iterator[Made], total: int, known: VectorCache) -> None:
    """Put arrays into the cache as they come.

    Raises:
        UserError: there is none of some images; names the first.
    """
    done: list[tuple[str, np.ndarray]] = []
    spoiled: list[Spoiled] = []
    with progress.bar(total=total, label="embed", unit="image") as bar:
        for some in made:
            bar.update(len(some))
            spoiled += [one for _, one in some if isinstance(one, Spoiled)]
            done += [(key, one) for key, one in some if not isinstance(one, Spoiled)]
            if len(done) >= _COMMIT:
                known.put(done)
                done = []
    known.put(done)
    if spoiled:
        more = f" ({len(spoiled) - 1} more)" if len(spoiled) > 1 else ""
        raise UserError(min(spoiled).message + more)
