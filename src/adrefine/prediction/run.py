"""Many photos through a model: in flat memory, with what cannot be read told and passed over."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from adrefine.errors import UserError
from adrefine.ingestion.damage import OutOfMemory
from adrefine.ingestion.preparation import Ready
from adrefine.prediction.model import BATCH, Model
from adrefine.prediction.photo import Result, ready
from adrefine.runtime.threads import in_order, workers


def each(model: Model, paths: Iterable[Path], maps: bool = True) -> Iterator[tuple[Path, Result | str]]:
    """Every path with its result, or the reason why it has none, in their order."""
    waiting = iter(paths)
    while batch := list(islice(waiting, BATCH)):
        start = time.perf_counter()
        with workers(on_gpu=4) as pool:
            prepared = list(in_order(pool, lambda path: _prepared(model, path), batch))
        usable = [photo for photo in prepared if not isinstance(photo, str)]
        results = iter(model.results(usable, maps, time.perf_counter() - start) if usable else [])
        for path, photo in zip(batch, prepared, strict=True):
            yield path, photo if isinstance(photo, str) else next(results)


def _prepared(model: Model, path: Path) -> tuple[Ready, str] | str:
    try:
        return ready(path, model.preparation)
    except OutOfMemory:
        raise
    except UserError as error:
        return str(error).removeprefix(f"{path}: ")
