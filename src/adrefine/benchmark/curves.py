"""One curve of a benchmark's figures: ours with its deviation, or a published one."""

from __future__ import annotations

from typing import Any

from adrefine.benchmark import published
from adrefine.benchmark.config import LIMIT, ORACLE, VANILLA, Benchmark
from adrefine.benchmark.summary import Group
from adrefine.benchmark.tables import subject_of
from adrefine.report.style import BLUE, GREEN, GREY, INK, ORANGE

# Beside the report's colours others of Okabe and Ito's, and a violet.
_COLOURS = (BLUE, ORANGE, "#CC79A7", "#56B4E9", "#E69F00", "#6A3D9A", INK)
_MARKERS = "osD^vPX"
_APART = 0.012  # between the curves at a level, so that their deviations can be told apart
_OF_HIDDEN = ("precision", "recall")  # they say nothing where nothing hides
Style = dict[str, Any]


def styles_of(config: Benchmark) -> dict[str, Style]:
    """Colour, marker and place beside the noise level of every strategy; the same in all figures."""
    styles: dict[str, Style] = {
        VANILLA: {"color": GREY, "marker": "o", "lw": 2},
        ORACLE: {"color": GREEN, "marker": "o", "lw": 2, "ls": (0, (4, 2))},
        LIMIT: {"color": GREEN, "marker": "x", "lw": 1.2, "ls": (0, (1, 2))},
    }
    for place, name in enumerate(config.strategies):
        turn = place % len(_COLOURS)
        styles[name] = {"color": _COLOURS[turn], "marker": _MARKERS[turn], "lw": 2}
        if place >= len(_COLOURS):
            styles[name]["ls"] = (0, (1, 1))
    width = (max(config.levels) - min(config.levels)) or 1
    for place, style in enumerate(styles.values()):
        style["shift"] = _APART * width * (place - (len(styles) - 1) / 2)
    return styles


def curve(panel: Any, group: Group, strategy: str, column: str, style: Style) -> bool:
    """Mean over the noise with bars of one standard deviation."""
    lines = [line for line in group.lines if line.strategy == strategy]
    if column in _OF_HIDDEN:
        lines = [line for line in lines if line.noise]
    shown = [(line.noise, line.figures[column]) for line in lines if column in line.figures]
    shown = [(noise, figure) for noise, figure in shown if figure.mean == figure.mean]
    if not shown:
        return False
    noise = [level + style["shift"] for level, _ in shown]
    mean, spread = [figure.mean for _, figure in shown], [figure.spread for _, figure in shown]
    panel.errorbar(noise, mean, spread, fmt="none", ecolor=style["color"], elinewidth=1.2, alpha=0.55)
    panel.plot(noise, mean, label=strategy, **line_of(style))
    return True


def line_of(style: Style) -> Style:
    """What matplotlib needs to know of a style."""
    edge = style["color"] if style["marker"] == "x" else "white"  # a cross is nothing but its edge
    return {"ms": 5.5, "mec": edge, "mew": 0.8, **{k: v for k, v in style.items() if k != "shift"}}


def published_curve(panel: Any, group: Group, method: str | None, colour: str) -> None:
    """The published curve of a method on the same dataset, thin and dotted, once a method."""
    known, subject = published.read(), subject_of(group)
    if method is None or method not in known.auroc:
        return
    label = f"{known.auroc[method].label}, published"
    if label in panel.get_legend_handles_labels()[1]:
        return
    values = [(level, known.auroc_of(method, subject, level)) for level in known.noise_levels]
    shown = [(level, value) for level, value in values if value is not None]
    if shown:
        panel.plot(*zip(*shown, strict=True), color=colour, lw=1.3, ls=":", marker="x", ms=4, label=label)
