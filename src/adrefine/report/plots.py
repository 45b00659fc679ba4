"""PNG plots for the report and `dvc plots show`; the same data gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter
from PIL import Image

from adrefine.evaluation.models import MODELS
from adrefine.io import write_bytes
from adrefine.metrics.detection import roc_curve
from adrefine.report.data import ReportData
from adrefine.report.style import BLUE, GREEN, GREY, INK, ORANGE, applied, png
from adrefine.report.words import figure, flags, good, hidden, in_order_of_removal

_LINES: dict[str, dict[str, Any]] = {
    "initial": {"color": GREY, "lw": 2},
    "refined": {"color": BLUE, "lw": 2.4},
    "taught": {"color": ORANGE, "lw": 2},
    "oracle": {"color": GREEN, "lw": 2, "ls": (0, (4, 2))},
}
_SQUARE = (4.6, 4.2)  # inches
_PANELS = 6
_BINS = 24
_TICKS = 5  # numbers under a histogram; more would overlap
_LONG_TAIL = 8  # highest score over the median from which the scores are drawn on a logarithmic axis


def write_all(data: ReportData, folder: Path) -> list[Path]:
    """Draw what the data allows into `folder`, and delete the plots that it does not allow.

    `roc.png`, `removal.png` and `auroc_by_round.png` need labels; `scores_by_round.png` needs a scored round,
    `distillation.png` steps of pretrain_pdn, `layers.png` a detector whose map adds up several.

    Returns:
        The files written.
    """
    written = []
    with applied():
        for name, draw in _PLOTS.items():
            drawn = draw(data)
            path = folder / f"{name}.png"
            if drawn is None:
                path.unlink(missing_ok=True)
                continue
            write_bytes(path, png(drawn))
            written.append(path)
    return written


def _roc(data: ReportData) -> Figure | None:
    test = data.test[flags(data.test, "label", 0) | flags(data.test, "label", 1)]
    if test.empty or test["label"].nunique() < 2:
        return None
    drawn = Figure(figsize=_SQUARE, layout="constrained")
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color="#D5D8DD", lw=1, ls=":")
    for model in (model for model in MODELS if model in test):
        auroc = figure(data.metrics, "detection", model, "auroc")
        name = MODELS[model] + ("" if auroc is None else f"  {auroc:.3f}")
        axes.plot(*roc_curve(test["label"], test[model]), label=name, **_LINES[model])
    recall, fpr = (figure(data.metrics, "detection", "refined", key) for key in ("recall", "fpr"))
    if recall is not None and fpr is not None:
        axes.plot(
            fpr, recall, "o", color=BLUE, ms=8, mec="white", mew=1.5, label="at the alarm threshold", zorder=5
        )
    axes.set(
        title="Caught defects against false alarms",
        xlabel="good photos rejected",
        ylabel="defects caught",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.02),
    )
    axes.legend(loc="lower right", title="AUROC", alignment="left")
    return drawn


def _scores_by_round(data: ReportData) -> Figure | None:
    history = data.history.dropna(subset=["score"]) if "score" in data.history else data.history
    if history.empty:
        return None
    rounds = np.sort(history["round"].unique())
    shown = rounds[np.unique(np.linspace(0, len(rounds) - 1, min(_PANELS, len(rounds))).round().astype(int))]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    drawn = Figure(figsize=(10.3, 0.8 + 2.3 * rows), layout="constrained")
    panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    bins, log = _bins(history)
    of_hidden = dict(zip(data.train["image_id"], hidden(data.train), strict=True))
    for panel, number in zip(panels.flat, shown, strict=False):
        _histogram(panel, history[history["round"] == number], of_hidden, bins)
        panel.set_xscale("log" if log else "linear")
    for panel in panels.flat if log else ():
        panel.xaxis.set_major_locator(FixedLocator(_log_ticks(*panel.get_xlim())))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())  # its numbers would overlap
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    drawn.supxlabel("score (higher: more unusual)", fontsize=10)
    drawn.supylabel("training photos", fontsize=10)
    handles, names = panels.flat[0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside upper right", ncols=len(names))
    return drawn


def _bins(history: pd.DataFrame) -> tuple[np.ndarray, bool]:
    scores = history["score"].to_numpy(float)
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return np.linspace(low - 0.5, high + 0.5, _BINS), False
    if low > 0 and high > _LONG_TAIL * float(np.median(scores)):
        return np.geomspace(low, high, _BINS), True
    return np.linspace(low, high, _BINS), False


def _log_ticks(low: float, high: float) -> list[float]:
    """At most _TICKS round numbers from `low` to `high`: 1, 2, 5, 10 ... over a short range, 1, 10, 100 ...
    or fewer over a long one."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps, every in [
        ((1, 2, 5), 1),
        ((1, 3), 1),
        *(((1,), every) for every in range(1, len(decades) + 1)),
    ]:
        ticks = [step * 10.0**decade for decade in decades if decade % every == 0 for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= _TICKS:
            break
    return ticks


def _histogram(panel: Any, rows: pd.DataFrame, of_hidden: dict[str, bool], bins: np.ndarray) -> None:
    is_hidden = rows["image_id"].map(of_hidden).fillna(False).to_numpy(bool)
    scores = rows["score"].to_numpy(float)
    if any(of_hidden.values()):
        panel.hist(
            [scores[~is_hidden], scores[is_hidden]],
            bins=bins,
            stacked=True,
            color=["#9CC3DE", ORANGE],
            label=["good", "hidden defect"],
        )
    else:
        panel.hist(scores, bins=bins, color="#9CC3DE", label="training photos")
    threshold = rows["threshold"].median() if "threshold" in rows else np.nan
    if np.isfinite(threshold):
        panel.axvline(threshold, color=INK, lw=1.4, ls=(0, (4, 2)), label="limit")
    removed = int(rows["removed"].sum()) if "removed" in rows else 0
    panel.set_title(f"Round {int(rows['round'].iloc[0])}: {removed} of {len(rows)} removed", fontsize=10)
    panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _removal(data: ReportData) -> Figure | None:
    removed = in_order_of_removal(data.train)
    total = int(hidden(data.train).sum())
    if removed.empty or not total:
        return None
    count = np.arange(len(removed) + 1)
    hits, lost = (np.concatenate([[0], np.cumsum(of(removed))]) for of in (hidden, good))
    drawn = Figure(figsize=_SQUARE, layout="constrained")
    axes = drawn.subplots()
    steps: dict[str, Any] = {"lw": 2.4, "drawstyle": "steps-post", "clip_on": False}
    axes.plot(count, np.minimum(count, total), label="ideal: first all the defects", **_LINES["oracle"])
    axes.plot(count, hits, color=ORANGE, label=f"hidden defects found (of {total})", **steps)
    axes.plot(count, lost, color=BLUE, label="good photos lost", **steps)
    axes.set(title="What each removal brought", xlabel="photos removed, in order", ylabel="photos")
    axes.set(xlim=(0, len(removed)), ylim=(0, None))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
    drawn.legend(loc="outside lower center")  # inside it would hide one of the lines
    return drawn


def _auroc_by_round(data: ReportData) -> Figure | None:
    rounds = data.rounds.dropna(subset=["auroc"]) if "auroc" in data.rounds else data.rounds.iloc[:0]
    if rounds.empty:
        return None
    drawn = Figure(figsize=_SQUARE, layout="constrained")
    axes = drawn.subplots()
    for model in ("oracle", "taught", "initial"):
        level = figure(data.metrics, "detection", model, "auroc")
        if level is not None:
            axes.axhline(level, label=f"{MODELS[model]}  {level:.3f}", **{**_LINES[model], "lw": 1.6})
    axes.plot(
        rounds["round"],
        rounds["auroc"],
        "o-",
        color=BLUE,
        lw=2.4,
        ms=5,
        mec="white",
        label=f"after each round, last {rounds['auroc'].iloc[-1]:.3f}",
    )
    axes.set(title="Test AUROC, round by round", xlabel="round (0: before cleaning)", ylabel="AUROC")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.margins(y=0.25)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.003))
    drawn.legend(loc="outside lower center")  # inside it would hide one of the lines
    return drawn


def _distillation(data: ReportData) -> Figure | None:
    if data.distillation is None:
        return None
    drawn = Figure(figsize=_SQUARE, layout="constrained")
    axes = drawn.subplots()
    axes.plot(data.distillation["step"], data.distillation["loss"], color=BLUE, lw=2)
    axes.set(title="Distillation of the patch network", xlabel="step", ylabel="normalized squared error")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(bottom=0)
    return drawn


def _layers(data: ReportData) -> Figure | None:
    """A row for each photo: itself, and each of its maps; a column has one scale."""
    if not data.layers:
        return None
    names = list(data.layers[0][1])
    drawn = Figure(figsize=(2.2 * (1 + len(names)), 2.3 * len(data.layers)), layout="constrained")
    grid = drawn.subplots(len(data.layers), 1 + len(names), squeeze=False)
    highest = {name: max(float(maps[name].max()) for _, maps in data.layers) for name in names}
    for row, (axes, (file, maps)) in enumerate(zip(grid, data.layers, strict=True)):
        with Image.open(file) as photo:
            axes[0].imshow(np.asarray(photo.convert("RGB")))
        for place, name in zip(axes[1:], names, strict=True):
            place.imshow(maps[name], cmap="inferno", vmin=0, vmax=max(highest[name], 1e-6))
        for place, title in zip(axes, ["photo", *names], strict=True):
            place.set(xticks=[], yticks=[], title="" if row else title)
    return drawn


_PLOTS: dict[str, Callable[[ReportData], Figure | None]] = {
    "auroc_by_round": _auroc_by_round,
    "distillation": _distillation,
    "layers": _layers,
    "removal": _removal,
    "roc": _roc,
    "scores_by_round": _scores_by_round,
}
