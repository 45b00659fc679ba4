"""Means over seeds, and what follows from the means: the gap closed and the efficiency of a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from adrefine.benchmark.config import LIMIT, ORACLE, VANILLA, Benchmark, Entry, names_of
from adrefine.benchmark.results import COLUMNS, TEXT
from adrefine.metrics.cleaning import oracle_gap_closed

MEASURED = [name for name in COLUMNS if name not in (*TEXT, "noise", "seed")]
_GUESSING = 0.5  # AUROC


@dataclass(frozen=True)
class Figure:
    """Mean and standard deviation over the seeds; both NaN where no run has the figure."""

    mean: float
    spread: float


@dataclass(frozen=True)
class Line:
    """One strategy at one noise level.

    Attributes:
        figures: by column of the results; of the limit those that it has.
        seeds: runs that went into them.
        gap_closed: (refined − vanilla) / (oracle − vanilla) of the mean AUROCs: ratios of single runs explode
            where there is little to win. None where the oracle gains less than 0.002.
        efficiency: (rank AUROC − .5) / (ceiling − .5) of the means; None without hidden defects.
    """

    noise: float
    strategy: str
    figures: dict[str, Figure]
    seeds: int
    gap_closed: float | None
    efficiency: float | None


@dataclass(frozen=True)
class Group:
    """What one table shows: a dataset or one of its classes (or the mean of them), a noise mode, a detector.

    Attributes:
        parts: classes that went into the mean of each noise level; empty if this is no mean.
        spreads: of a mean, the population deviation over its classes of their AUROC, by level and strategy.
        impossible: why a noise level cannot be made, by level (and class, in a mean).
    """

    entry: Entry
    part: str
    mode: str
    detector: str
    lines: list[Line]
    parts: dict[float, tuple[str, ...]]
    impossible: dict[str, str]
    spreads: dict[tuple[float, str], float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Dataset and class."""
        if self.entry.classes and not self.part:
            return f"{self.entry.name}, mean of the classes"
        return f"{self.entry.name} {self.part}".strip()


def groups(rows: pd.DataFrame, config: Benchmark) -> Iterator[Group]:
    """Every group that has a row, a dataset's mean of classes before its classes."""
    for entry in config.datasets:
        of_entry = rows[rows["dataset"] == entry.name]
        for detector in config.detectors:
            for mode in config.modes:
                of_mode = of_entry[(of_entry["mode"] == mode) & (of_entry["detector"] == detector)]
                if entry.classes and len(of_mode):
                    yield mean_of_classes(of_mode, config, entry, tuple(entry.classes))
                for part in entry.classes or [""]:
                    own = of_mode[of_mode["class"] == part]
                    if len(own):
                        yield _group(own, config, entry, part)


def mean_of_classes(rows: pd.DataFrame, config: Benchmark, entry: Entry, classes: tuple[str, ...]) -> Group:
    """The mean of those of `classes` for which all runs of a level are done, seed by seed."""
    wanted = len(config.seeds) * (len(config.strategies) + 2)
    made = rows[(rows["unreachable"] == "") & rows["class"].isin(classes)]
    whole = made.groupby(["noise", "class"])["strategy"].transform("size") == wanted
    complete = made[whole]
    keys = ["noise", "seed", "strategy"]
    means = complete.groupby(keys, as_index=False)[MEASURED].mean()
    parts = {
        level: tuple(name for name in classes if name in set(complete["class"][complete["noise"] == level]))
        for level in config.levels
    }
    detector, mode = rows["detector"].iloc[0], rows["mode"].iloc[0]
    of_classes = complete.groupby(["noise", "strategy", "class"])["auroc"].mean()
    apart = of_classes.groupby(["noise", "strategy"]).std(ddof=0).dropna().reset_index()
    keys_of = zip(apart["noise"].astype(float), apart["strategy"].astype(str), strict=True)
    spreads = dict(zip(keys_of, apart["auroc"].astype(float), strict=True))
    lines = _lines(means, config)
    return Group(entry, "", mode, detector, lines, parts, _impossible(rows), spreads)


def _group(rows: pd.DataFrame, config: Benchmark, entry: Entry, part: str) -> Group:
    made = rows[rows["unreachable"] == ""]
    detector, mode = rows["detector"].iloc[0], rows["mode"].iloc[0]
    return Group(entry, part, mode, detector, _lines(made, config), {}, _impossible(rows))


def _impossible(rows: pd.DataFrame) -> dict[str, str]:
    """Reasons by level and class, each once whatever the seeds."""
    odd = rows[rows["unreachable"] != ""].drop_duplicates(["noise", "class"])
    return {
        f"noise {noise:g} {part}".strip(): why
        for noise, part, why in zip(odd["noise"], odd["class"], odd["unreachable"], strict=True)
    }


def _lines(rows: pd.DataFrame, config: Benchmark) -> list[Line]:
    lines = []
    for level in config.levels:
        at_level = rows[rows["noise"] == level]
        names = [name for name in names_of(config) if (at_level["strategy"] == name).any()]
        lines += [_line(float(level), name, at_level) for name in names]
        lines += _limit(float(level), at_level)
    return lines


def _line(noise: float, strategy: str, at_level: pd.DataFrame) -> Line:
    own = at_level[at_level["strategy"] == strategy]
    columns = own[MEASURED].to_numpy(dtype=float, na_value=np.nan).T
    figures = {name: figure(values) for name, values in zip(MEASURED, columns, strict=True)}
    closed = efficiency = None
    if strategy not in (VANILLA, ORACLE):
        closed = _gap(at_level, strategy, "auroc")
    if strategy != ORACLE:
        ranks, ceilings = own.set_index("seed")["rank_auroc"], _of(at_level, ORACLE, "ceiling_rank_auroc")
        both = pd.concat([ranks, ceilings], axis=1, keys=["rank", "ceiling"]).dropna().astype(float).mean()
        if both.notna().all() and both["ceiling"] > _GUESSING:
            efficiency = float((both["rank"] - _GUESSING) / (both["ceiling"] - _GUESSING))
    return Line(noise, strategy, figures, len(own), closed, efficiency)


def _limit(noise: float, at_level: pd.DataFrame) -> list[Line]:
    """The line of what the ceiling's ranking wins, if an oracle row says so."""
    own = at_level[(at_level["strategy"] == ORACLE) & at_level["ceiling_auroc"].notna()]
    if own.empty:
        return []
    columns = {"auroc": "ceiling_auroc", "precision": "ceiling_precision_at_defects", "n_train": "n_train"}
    figures = {name: figure(own[column].to_numpy(dtype=float)) for name, column in columns.items()}
    figures["recall"] = figures["precision"]  # as many are removed as are hidden
    return [Line(noise, LIMIT, figures, len(own), _gap(at_level, ORACLE, "ceiling_auroc"), None)]


def figure(values: np.ndarray) -> Figure:
    """Mean and deviation (population) of those of `values` (n,) that are no NaN."""
    known = values[~np.isnan(values)]
    return Figure(float(known.mean()), float(known.std())) if len(known) else Figure(np.nan, np.nan)


def _of(at_level: pd.DataFrame, strategy: str, column: str) -> pd.Series:
    return at_level[at_level["strategy"] == strategy].set_index("seed")[column]


def _gap(at_level: pd.DataFrame, strategy: str, column: str) -> float | None:
    """The gap closed by `column` of a strategy, over the seeds that vanilla and oracle have too."""
    three = [_of(at_level, VANILLA, "auroc"), _of(at_level, strategy, column), _of(at_level, ORACLE, "auroc")]
    table = pd.concat(three, axis=1).dropna()
    return oracle_gap_closed(*map(float, table.mean())) if len(table) else None
