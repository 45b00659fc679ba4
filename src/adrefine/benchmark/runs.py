"""One run: from its settings to its row of the results."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine import manifest, noise
from adrefine.benchmark import measure, prepared
from adrefine.benchmark.config import ORACLE, VANILLA
from adrefine.benchmark.plan import Run
from adrefine.detectors.base import Detector
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.runtime import hardware
from adrefine.strategies import refinement

Row = dict[str, Any]


def execute(run: Run) -> Row:
    """Train or refine, and measure. Results depend on the run alone: one core, seeds of its own.

    Raises:
        UserError: the run is impossible; names it.
    """
    try:
        with hardware.one_core_each(), _quiet():
            table, inputs = prepared.read(prepared.folder(run.params, run.twins))
            noisy, ids, clean = measure.inject(table, run.params, run.listed)
            if run.strategy == ORACLE:
                measures = _oracle(run, noisy, ids, clean, inputs)
            else:
                measures = _refined(run, noisy, ids, inputs)
    except UserError as error:
        raise UserError(f"{run}: {error}") from None
    return {**heading(run, noisy), **measures}


def heading(run: Run, noisy: pd.DataFrame) -> Row:
    """The columns that say which run a row is of."""
    counts = noise.summary(noisy, run.params.noise)
    return {**key_columns(run), "n_train": counts["n_train"], "realised": counts["realised"]}


def key_columns(run: Run) -> Row:
    """As `heading`, without what only the noisy set knows."""
    cell = run.cell
    return {
        "dataset": cell.dataset,
        "class": cell.part,
        "mode": cell.mode,
        "noise": cell.noise,
        "seed": cell.seed,
        "detector": cell.detector,
        "strategy": run.strategy,
        "digest": run.digest,
    }


def unreachable(run: Run, table: pd.DataFrame) -> Row | None:
    """The row of a cell whose noise the photos at hand cannot make; None if they can."""
    try:
        measure.inject(table, run.params, run.listed)
    except UserError as error:
        return {**key_columns(run), "unreachable": str(error)}
    return None


def _refined(run: Run, noisy: pd.DataFrame, ids: tuple[str, ...], inputs: Path) -> Row:
    """A strategy from the initial model on; vanilla removes nothing, and its seconds are the training's."""
    trained = _initial(run, ids, noisy, inputs)
    start = time.perf_counter()
    outcome = refinement.run(run.params, manifest.unlabelled(noisy), inputs, trained)
    seconds = time.perf_counter() - start
    images = outcome.outcome.images
    kept = tuple(images.loc[images["kept"] == 1, "image_id"])
    if run.strategy == VANILLA:
        seconds = read_json(trained / "seconds.json", (int, float))
    return {
        "seconds": round(seconds, 2),
        **measure.tested(outcome.model, noisy, inputs),
        **_localized(run, outcome.model, kept, noisy, inputs),
        **measure.cleaned(noisy, outcome.outcome),
    }


def _oracle(run: Run, noisy: pd.DataFrame, ids: tuple[str, ...], clean: tuple[str, ...], inputs: Path) -> Row:
    """The detector of the clean photos, the ceiling; without hidden defects it is the initial model. Nothing
    where fewer than two photos are clean."""
    from adrefine import detectors

    if len(clean) < 2:
        return {}
    start = time.perf_counter()
    if clean == ids:
        trained = _initial(run, ids, noisy, inputs)
        model, seconds = detectors.create(run.params), read_json(trained / "seconds.json", (int, float))
        model.load(trained)
    else:
        model = measure.fit(run.params, clean, noisy, inputs)
        seconds = time.perf_counter() - start
    scores = measure.ceiling_scores(model, ids, clean, inputs, run.ceiling_folds, run.cell.seed)
    return {
        "seconds": round(seconds, 2),
        **measure.tested(model, noisy, inputs),
        **_localized(run, model, clean, noisy, inputs),
        **measure.ceiling(scores, clean),
        **measure.limit(run.params, scores, clean, noisy, inputs),
    }


def _localized(run: Run, model: Detector, learned: tuple[str, ...], noisy: pd.DataFrame, inputs: Path) -> Row:
    """As `measure.localized`; nothing unless the benchmark asks for it."""
    own = run.params.chosen_detector.own_maps
    return measure.localized(model, None if own else learned, noisy, inputs, run.localize)


def model_folder(run: Run) -> Path:
    """Where the initial model of the run's cell is."""
    return prepared.folder(run.params, run.twins) / "models" / run.base


def _initial(run: Run, ids: tuple[str, ...], noisy: pd.DataFrame, inputs: Path) -> Path:
    """Folder of the initial model and `seconds.json`; trained if it is not there."""
    target = model_folder(run)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as place:
            start = time.perf_counter()
            model = measure.fit(run.params, ids, noisy, inputs)
            model.save(Path(place) / "model")
            write_json(Path(place) / "model" / "seconds.json", round(time.perf_counter() - start, 2))
            with suppress(OSError):  # another benchmark on the same photos was first: the same model
                os.replace(Path(place) / "model", target)
    return target


def forget_model(run: Run) -> None:
    """Delete the initial model of the run's cell."""
    shutil.rmtree(model_folder(run), ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of rounds and folds: the benchmark has its own."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield
