"""Every run of a benchmark, in the order of its tables, each with all its settings and their digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from adrefine.benchmark import lists, prepared
from adrefine.benchmark.config import ORACLE, VANILLA, Benchmark, Entry, names_of
from adrefine.benchmark.sections import merged
from adrefine.detectors import DetectorSettings
from adrefine.io import sha256_file
from adrefine.params import Params, parse

_NOTHING = {"refine": {"strategy": "vanilla", "scorer": "in_sample"}}
_DIGITS = 10  # of a digest


@dataclass(frozen=True)
class Cell:
    """One noisy training set and one detector: what all strategies are compared on. `part`: the class."""

    dataset: str
    part: str
    mode: str
    noise: float
    seed: int
    detector: str

    def __str__(self) -> str:
        name = f"{self.dataset} {self.part}".strip()
        return f"{name}, {self.detector}, {self.mode}, noise {self.noise:g}, seed {self.seed}"


@dataclass(frozen=True)
class Run:
    """One row of the results.

    Attributes:
        strategy: a name of the benchmark file, or vanilla or oracle.
        digest: of the settings that decide the row; a row with another digest is stale.
        base: digest of what the cell shares; it names the initial model.
        twins, ceiling_folds, localize: as in the benchmark file.
        listed: the published list that says which photos train, if one does.
    """

    cell: Cell
    strategy: str
    params: Params
    digest: str
    base: str
    twins: bool
    ceiling_folds: int
    listed: Path | None = None
    localize: int = 0

    def __str__(self) -> str:
        return f"{self.cell}, {self.strategy}"


def cells(config: Benchmark) -> dict[Cell, list[Run]]:
    """The runs of every cell: vanilla first, which trains the initial model, the oracle last."""
    return {cell: list(_runs(config, entry, cell)) for entry, cell in _cells(config)}


def _cells(config: Benchmark) -> Iterator[tuple[Entry, Cell]]:
    for entry in config.datasets:
        for part, detector, mode, level, seed in product(
            entry.classes or [""], config.detectors, config.modes, config.levels, config.seeds
        ):
            yield entry, Cell(entry.name, part, mode, level, seed, detector)


def _runs(config: Benchmark, entry: Entry, cell: Cell) -> Iterator[Run]:
    base, listed = "", lists.file_of(config.lists, cell.noise, cell.seed)
    mark = None if listed is None else sha256_file(listed)
    for name in names_of(config):
        sections = config.strategies.get(name, {})
        params = settings(config, entry, cell, sections or _NOTHING)
        inputs = prepared.sections(params.chosen_detector.reads, config.twins)
        shared = ["dataset", "noise", "detector", params.detector, *inputs]
        base = base or digest(params, shared, mark)
        decides = {VANILLA: shared, ORACLE: shared}.get(
            name, [*shared, "refine", params.refine.strategy, *sections]
        )
        folds = config.ceiling_folds if name == ORACLE else None
        extra: object = folds if mark is None else [folds, mark]
        extra = [extra, {"localize": config.localize}] if config.localize else extra
        yield Run(
            cell,
            name,
            params,
            digest(params, decides, extra),
            base,
            config.twins,
            config.ceiling_folds,
            listed,
            config.localize,
        )


def settings(config: Benchmark, entry: Entry, cell: Cell, chosen: dict[str, Any]) -> Params:
    """params.yaml of one run. The cell's seed is that of the noise, the detector, the folds and the strategy,
    unless a section sets another."""
    root = str(Path(entry.root) / cell.part)
    noise = {"level": cell.noise, "mode": cell.mode, "n_train": entry.n_train, "seed": cell.seed}
    asked = merged(
        config.params,
        config.detectors[cell.detector],
        chosen,
        {"dataset": {"name": entry.layout, "root": root}, "noise": noise},
    )
    first = parse(asked)
    seeded = ["refine", first.detector, first.refine.strategy]
    seeds = {name: {"seed": cell.seed} for name in seeded if hasattr(first.section(name), "seed")}
    return parse(merged(seeds, asked))


def digest(params: Params, sections: Iterable[str], extra: object = None) -> str:
    """Short digest of `sections` of params.yaml, defaults included; where the photos lie is no part of it."""
    content = params.model_dump(mode="json", by_alias=True, exclude={"dataset": {"root"}})
    content[params.detector] = _written(params.chosen_detector)
    chosen = {name: content[name] for name in sections}
    text = json.dumps([chosen, extra], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _written(section: DetectorSettings) -> dict[str, Any]:
    """A detector's section as params.yaml would have it: null where its preset says the same."""
    content = section.model_dump(mode="json", by_alias=True)
    preset = section.PRESETS.get(content.get("preset", ""), {})
    return {key: None if key in preset and value == preset[key] else value for key, value in content.items()}
