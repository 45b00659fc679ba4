"""Our figures in the layout of the source documents' tables 1 and 2, with theirs beside them.

Table 1 (IRP, META): AUROC by class and noise level, then the means by model. Table 2 (IRP, META; table 1 of
OSR): good and defective photos removed, by class and noise level.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

import pandas as pd

from adrefine.benchmark import published
from adrefine.benchmark.config import VANILLA, Benchmark, Entry
from adrefine.benchmark.summary import Group, Line, mean_of_classes
from adrefine.benchmark.tables import cell, method_of
from adrefine.text import markdown

_TITLES = {"ksdd2": "KSDD2", published.MVTEC_MEAN: "MVTec AD"}


def in_their_layout(groups: list[Group], rows: pd.DataFrame, config: Benchmark) -> list[str]:
    """Both tables for every detector and noise mode; nothing if the documents have none of our datasets.

    Args:
        groups: all of the benchmark. rows: what they were made of.
    """
    known = [group for group in groups if _subjects(group.entry)]
    lines: list[str] = []
    for detector in config.detectors:
        for mode in config.modes:
            same = [group for group in known if (group.detector, group.mode) == (detector, mode)]
            chosen = rows[(rows["detector"] == detector) & (rows["mode"] == mode)]
            if same:
                lines += [f"## As in the documents: {detector}, {mode}", ""]
                lines += _table_1(same, chosen, config) + _table_2(same, config)
    if lines:
        lines += ["Sources of what is published:", "", *_sources(), ""]
    return lines


def _subjects(entry: Entry) -> list[str]:
    subjects = [published.subject(entry, part) for part in entry.classes or [""]]
    return [name for name in subjects if name and name != "mtd"]


def _table_1(panels: list[Group], rows: pd.DataFrame, config: Benchmark) -> list[str]:
    """AUROC by class for each strategy, then the models; in brackets what is published."""
    lines = ["### Table 1: AUROC, in brackets as published", ""]
    header = ["category", "entity", *(f"{level:.0%}" for level in config.levels)]
    means = [
        _published_mean(group, rows, config) for group in panels if group.entry.classes and not group.part
    ]
    whole = [*means, *(group for group in panels if not group.entry.classes)]
    for name in (VANILLA, *config.strategies):
        method = method_of(config, name) or ""
        classes = [group for group in panels if group.part]
        table = [
            ["classes", group.part, *_aurocs(group, config, name, method, group.part)] for group in classes
        ]
        table += [
            ["deviation", f"{name}, over the classes", *_deviations(group, config, name, method)]
            for group in means
        ]
        for group in whole:
            subject = published.MVTEC_MEAN if group.entry.classes else published.subject(group.entry, "")
            entity = f"{name} on {_TITLES.get(subject or '', subject)}"
            table.append(["models", entity, *_aurocs(group, config, name, method, subject)])
        lines += [f"{name}:", "", *markdown(header, table)]
    for group in means:
        short = {f"{noise:.0%}": len(parts) for noise, parts in group.parts.items()}
        lines += [
            f"{group.entry.name}: the mean is of the ten published classes; classes that went in: {short}.",
            "",
        ]
    return lines


def _deviations(group: Group, config: Benchmark, strategy: str, method: str) -> Iterator[str]:
    """The row that META's table 1 calls standard deviation: the population's, over the published classes of
    their means. What stands after ± elsewhere is over the seeds."""
    known = published.read()
    for level in config.levels:
        spread = group.spreads.get((level, strategy))
        theirs = known.auroc_of(method, published.MVTEC_DEVIATION, level)
        ours = "–" if spread is None else f"{spread:.3f}"
        yield ours + ("" if theirs is None else f" ({theirs:.4f})")


def _published_mean(group: Group, rows: pd.DataFrame, config: Benchmark) -> Group:
    """The mean of the classes that the documents have, whatever others there are."""
    own = rows[rows["dataset"] == group.entry.name]
    return mean_of_classes(own, config, group.entry, published.read().classes())


def _aurocs(
    group: Group, config: Benchmark, strategy: str, method: str, subject: str | None
) -> Iterator[str]:
    known = published.read()
    for level in config.levels:
        line = _find(group, strategy, level)
        ours = cell(line.figures["auroc"], line.seeds) if line else _missing(group, level)
        of_all = subject != published.MVTEC_MEAN or group.parts.get(level) == known.classes()
        theirs = known.auroc_of(method, subject, level) if of_all else None
        yield ours + ("" if theirs is None else f" ({theirs:.4f})")


def _table_2(panels: list[Group], config: Benchmark) -> list[str]:
    """Good and defective photos removed, means over the seeds."""
    known = published.read()
    lines = ["### Table 2: photos removed, good / defective, in brackets as published", ""]
    shown = [group for group in panels if group.part or not group.entry.classes]
    for name in config.strategies:
        method, table = method_of(config, name) or "", []
        for group in shown:
            subject = published.subject(group.entry, group.part)
            cells = []
            for level in config.levels:
                line = _find(group, name, level)
                theirs = known.removed_of(method, subject, level)
                cells.append(
                    (_removed(line) if line else _missing(group, level))
                    + (f" ({theirs[0]} / {theirs[1]})" if theirs else "")
                )
            table.append([group.part or _TITLES.get(subject or "", group.entry.name), *cells])
        lines += [f"{name}:", "", *markdown(["class", *(f"{level:.0%}" for level in config.levels)], table)]
    return lines


def _removed(line: Line) -> str:
    good, bad = (line.figures[name].mean for name in ("removed_good", "removed_defects"))
    return "" if isnan(good) else f"{good:.1f} / {bad:.1f}"


def _find(group: Group, strategy: str, level: float) -> Line | None:
    return next((line for line in group.lines if (line.strategy, line.noise) == (strategy, level)), None)


def _missing(group: Group, level: float) -> str:
    """Why a cell has no figure of ours: the noise cannot be made, or the runs are not done."""
    return "unreachable" if f"noise {level:g} {group.part}".strip() in group.impossible else "–"


def _sources() -> Iterator[str]:
    known = published.read()
    for kind, methods in (("AUROC", known.auroc), ("removed", known.removed)):
        for method in methods.values():
            if set(method.figures) != {"mtd"}:
                yield f"- {method.label}, {kind}: {method.source}"
