"""Markdown tables of a benchmark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import isnan

from adrefine.benchmark import published
from adrefine.benchmark.config import LIMIT, ORACLE, VANILLA, Benchmark
from adrefine.benchmark.summary import Figure, Group, Line
from adrefine.text import markdown

_MAIN = {
    "auroc": "AUROC", "aupr": "AUPR", "gap": "gap closed", "removed": "removed", "precision": "precision",
    "recall": "recall", "good_retained": "good retained", "rounds": "rounds", "seconds": "seconds",
}  # fmt: skip
AUPRO = "aupro"  # a column of _MAIN where a row has it
_RANKING = {
    "rank_auroc": "rank AUROC",
    "efficiency": "efficiency",
    "rank_ap": "average precision",
    "rank_depth_90": "depth 90 %",
    "rank_depth_100": "depth 100 %",
    "precision_at_defects": "precision at their number",
}
_DIGITS = {"removed": 1, "rounds": 1, "seconds": 1}
EXPLAINED = """\
Gap closed: (strategy − vanilla) / (oracle − vanilla) of the mean AUROCs, not the mean of the runs' ratios,
which explode where there is little to win; empty where the oracle gains less than 0.002. Precision and
recall: of the photos removed; precision is the mean over the runs that removed any. Rank AUROC: how well the
last scores tell the hidden defects from good photos; vanilla ranks with the model that has learned them. The
ceiling ranks them with models of the clean photos alone, out of fold. Limit: what is won if the ceiling's
highest scores go, as many as are hidden; it knows the labels, so who removes as many can hope for no more.
Efficiency: (rank AUROC − .5) / (ceiling − .5) of the means. Depth: share of the ranked list to read until
90 % or all of the hidden defects were seen. Precision at their number: hidden defects among as many of the
highest scores. Seconds: of one training for vanilla and oracle, of one refinement for a strategy."""


LOCATED = """\
AU-PRO: how well the maps show where the defect is, up to 30 % false-positive pixels, on as many of the
test photos as `localize` in the benchmark file says."""


def explained(groups: Iterable[Group]) -> str:
    """What the columns mean."""
    return f"{EXPLAINED} {LOCATED}" if any(map(_located, groups)) else EXPLAINED


def of_group(group: Group, config: Benchmark) -> list[str]:
    """Heading, detection and removal, ranking, published figures, what cannot be made."""
    lines = [f"## {group.title}", "", _facts(group, config), ""]
    columns = _main(group)
    lines += markdown(["noise", "strategy", *columns.values()], _main_rows(group, config, columns))
    ranked = list(_ranking_rows(group))
    if ranked:
        lines += ["Ranking of the hidden defects:", ""]
        lines += markdown(["noise", "strategy", *_RANKING.values()], ranked)
    lines += _published(subject_of(group))
    lines += [f"- {where} cannot be made: {why}" for where, why in group.impossible.items()]
    return [*lines, ""] if group.impossible else lines


def cell(figure: Figure | None, seeds: int, digits: int = 3) -> str:
    """Mean ± deviation, the deviation only of several runs; empty if there is no figure."""
    if figure is None or isnan(figure.mean):
        return ""
    mean = f"{figure.mean:.{digits}f}"
    return f"{mean} ± {figure.spread:.{digits}f}" if seeds > 1 else mean


def method_of(config: Benchmark, strategy: str) -> str | None:
    """The strategy of params.yaml behind a name of the benchmark file; None for oracle and limit."""
    if strategy in (VANILLA, ORACLE, LIMIT):
        return VANILLA if strategy == VANILLA else None
    name: str = config.strategies[strategy]["refine"]["strategy"]
    return name


def subject_of(group: Group) -> str | None:
    """The group's name in published.yaml; of a mean of classes, if it is of the published classes alone."""
    if not group.entry.classes or group.part:
        return published.subject(group.entry, group.part)
    same = group.entry.layout == "mvtec" and set(group.entry.classes) == set(published.read().classes())
    return published.MVTEC_MEAN if same else None


def _facts(group: Group, config: Benchmark) -> str:
    photos = sorted({round(line.figures["n_train"].mean) for line in group.lines})
    facts = [
        f"{group.detector}, {group.mode}",
        f"{' to '.join(map(str, photos[:: len(photos) - 1 or 1]))} training photos",
    ]
    seeds = {line.seeds for line in group.lines if line.strategy != LIMIT}
    facts += (
        [f"{min(seeds)} of {len(config.seeds)} seeds done"]
        if seeds and min(seeds) < len(config.seeds)
        else []
    )
    facts += [
        f"at noise {noise:g} {len(parts)} of {len(group.entry.classes)} classes"
        for noise, parts in group.parts.items()
        if len(parts) < len(group.entry.classes)
    ]
    return "; ".join(facts) + "."


def _published(subject: str | None) -> list[str]:
    """What others published on the same photos, by their noise levels; other training sets and networks."""
    known = published.read()
    methods = [method for method in known.auroc.values() if subject in method.figures]
    if subject is None or not methods:
        return []
    levels = known.noise_levels[: max(len(method.figures[subject]) for method in methods)]
    header = ["published AUROC", *(f"{level:g}" for level in levels), "source"]
    rows = [
        [
            known.auroc[name].label,
            *("" if value is None else f"{value:.4g}" for value in values),
            known.auroc[name].source,
        ]
        for name in known.auroc
        if subject in known.auroc[name].figures
        for values in [[known.auroc_of(name, subject, level) for level in levels]]
    ]
    told = [known.notes[subject], ""] if subject in known.notes else []
    return ["Published, with other networks and training sets, by noise:", "", *markdown(header, rows), *told]


def _located(group: Group) -> bool:
    figures = [line.figures[AUPRO] for line in group.lines if AUPRO in line.figures]
    return any(not isnan(figure.mean) for figure in figures)


def _main(group: Group) -> dict[str, str]:
    """Columns of the main table: AU-PRO beside AUPR where it was measured."""
    if not _located(group):
        return _MAIN
    first = {name: _MAIN[name] for name in ("auroc", "aupr")}
    return {**first, AUPRO: "AU-PRO", **_MAIN}


def _main_rows(group: Group, config: Benchmark, columns: Collection[str]) -> Iterator[list[str]]:
    known, subject = published.read(), subject_of(group)
    for place, line in enumerate(group.lines):
        yield [f"{line.noise:g}", line.strategy, *(_value(line, name) for name in columns)]
        last = place + 1 == len(group.lines) or group.lines[place + 1].noise != line.noise
        if not last:
            continue
        methods = dict.fromkeys(method_of(config, name) for name in (VANILLA, *config.strategies))
        for method in filter(None, methods):
            auroc = known.auroc_of(method, subject, line.noise)
            if auroc is not None:
                name = f"*{known.auroc[method].label}, published*"
                yield [f"{line.noise:g}", name, f"*{auroc:.4f}*", *[""] * (len(columns) - 1)]


def _ranking_rows(group: Group) -> Iterator[list[str]]:
    for line in group.lines:
        figures = line.figures
        if line.strategy == ORACLE:
            names = ["ceiling_rank_auroc", "", "", "", "", "ceiling_precision_at_defects"]
            cells = [cell(figures.get(name), line.seeds) for name in names]
        else:
            cells = [_value(line, name) for name in _RANKING]
        if any(cells):
            yield [f"{line.noise:g}", "ceiling" if line.strategy == ORACLE else line.strategy, *cells]


def _value(line: Line, name: str) -> str:
    ratio = {"gap": line.gap_closed, "efficiency": line.efficiency}
    if name in ratio:
        value = ratio[name]
        return "" if value is None else f"{round(value, 2) + 0.0:.2f}"  # no -0.00
    return cell(line.figures.get(name), line.seeds, _DIGITS.get(name, 3))
