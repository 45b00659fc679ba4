"""PNG figures of a benchmark: AUROC, gap closed, photos removed, precision and recall against noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter

from adrefine.benchmark.config import LIMIT, ORACLE, VANILLA, Benchmark
from adrefine.benchmark.curves import Style, curve, line_of, published_curve, styles_of
from adrefine.benchmark.summary import Group, Line
from adrefine.benchmark.tables import method_of
from adrefine.report.style import applied, png

_COLUMNS = 4  # panels in a row, at most
_PANEL = (3.4, 2.8)  # inches
_ALONE = (5.6, 3.4)
_TICKS = 8  # noise levels, at most, that are all named on the axis
_MARGIN = 0.06  # beside the lowest and highest level, as a share of the axis
_GAP_SHOWN = (-1.1, 1.6)


def draw(groups: list[Group], config: Benchmark) -> dict[str, bytes]:
    """PNG files by the end of their name; a figure that has nothing to show is left out.

    Classes of a dataset appear in `classes` alone; the others show the mean of them.
    """
    whole = [group for group in groups if not group.part]
    of_classes = [group for group in groups if group.part]
    styles = styles_of(config)
    with applied():
        drawn = {
            "auroc": _panels(whole, styles, _auroc(config), "test AUROC"),
            "classes": _panels(of_classes, styles, _auroc(config), "test AUROC"),
            "gap": _panels(whole, styles, _gap, "gap to the oracle closed"),
            "removed": _removal(whole, styles, ("removed_good", "removed_defects")),
            "removal": _removal(whole, styles, ("precision", "recall"), (-0.03, 1.03)),
        }
        for figure in drawn.values():
            _mark_levels(figure, config)
        return {name: png(figure) for name, figure in drawn.items() if figure is not None}


def _panels(
    groups: list[Group],
    styles: dict[str, Style],
    fill: Callable[[Any, Group, dict[str, Style]], bool],
    label: str,
) -> Drawing | None:
    """A panel a group, filled by `fill`, which says whether there was anything."""
    if not groups:
        return None
    columns = min(_COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    width, height = _PANEL if len(groups) > 1 else _ALONE
    drawn = Drawing(figsize=(1.0 + width * columns, 0.9 + height * rows), layout="constrained")
    axes = list(drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    filled = [fill(panel, group, styles) for panel, group in zip(axes, groups, strict=False)]
    for panel in axes[len(groups) :]:
        panel.set_visible(False)
    if not any(filled):
        return None
    for panel, group in zip(axes, groups, strict=False):
        panel.set_title(_title(group, groups))
    drawn.supylabel(label, fontsize=10)
    drawn.supxlabel("hidden defects in the training set", fontsize=10)
    _legend(drawn, axes)
    return drawn


def _mark_levels(drawn: Drawing | None, config: Benchmark) -> None:
    """The noise axis shows the levels that were run, the same in every panel."""
    low, high = min(config.levels), max(config.levels)
    margin = _MARGIN * ((high - low) or 1)
    for panel in drawn.axes if drawn else []:
        panel.set_xticks(sorted(config.levels) if len(config.levels) <= _TICKS else [low, high])
        panel.set_xlim(low - margin, high + margin)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        panel.tick_params(labelbottom=True)


def _title(group: Group, groups: list[Group]) -> str:
    """The group's title, with detector and mode where the panels differ in them."""
    odd = [
        getattr(group, name) for name in ("detector", "mode") if len({getattr(g, name) for g in groups}) > 1
    ]
    return "\n".join([group.title, *odd])


def _legend(drawn: Drawing, axes: list[Any]) -> None:
    entries: dict[str, Any] = {}
    for panel in axes:
        handles, names = panel.get_legend_handles_labels()
        entries = {**dict(zip(names, handles, strict=True)), **entries}
    width = drawn.get_size_inches()[0]
    drawn.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper center",
        ncols=max(1, min(len(entries), int(width // 1.7))),
    )


def _auroc(config: Benchmark) -> Callable[[Any, Group, dict[str, Style]], bool]:
    def fill(panel: Any, group: Group, styles: dict[str, Style]) -> bool:
        some = False
        for name, style in styles.items():
            some |= curve(panel, group, name, "auroc", style)
        for name, style in styles.items():
            published_curve(panel, group, method_of(config, name), style["color"])
        return some

    return fill


def _gap(panel: Any, group: Group, styles: dict[str, Style]) -> bool:
    shown = [line for line in group.lines if line.gap_closed is not None]
    for level, label in ((1.0, "oracle"), (0.0, "vanilla")):
        style = styles[label]
        panel.axhline(level, color=style["color"], lw=1.4, ls=style.get("ls", "-"), label=label)
    for name in dict.fromkeys(line.strategy for line in shown):
        of_name: list[Line] = [line for line in shown if line.strategy == name]
        panel.plot(
            [line.noise + styles[name]["shift"] for line in of_name],
            [line.gap_closed for line in of_name],
            label=name,
            **line_of(styles[name]),
        )
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    low, high = panel.get_ylim()  # the share of a small gap may be anything
    panel.set_ylim(max(low, _GAP_SHOWN[0]), min(high, _GAP_SHOWN[1]))
    return bool(shown)


def _removal(
    groups: list[Group],
    styles: dict[str, Style],
    columns: tuple[str, str],
    shown: tuple[float, float] | None = None,
) -> Drawing | None:
    """Two figures of what was removed side by side, a row a group; `shown`: bounds of their axis."""
    drawn = Drawing(figsize=(1.0 + 2 * _PANEL[0], 0.9 + _PANEL[1] * len(groups)), layout="constrained")
    axes = drawn.subplots(len(groups), 2, squeeze=False, sharex=True, sharey=True)
    some = False
    for pair, group in zip(axes, groups, strict=True):
        for panel, column in zip(pair, columns, strict=True):
            for name, style in styles.items():
                if name not in (VANILLA, ORACLE, LIMIT):
                    some |= curve(panel, group, name, column, style)
            panel.set_title(f"{_title(group, groups)}: {column.replace('_', ' ')}")
            if shown:
                panel.set_ylim(*shown)
    drawn.supxlabel("hidden defects in the training set", fontsize=10)
    if not some:
        return None
    _legend(drawn, list(axes.flat))
    return drawn
