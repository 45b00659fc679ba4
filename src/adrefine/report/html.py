"""The report: one HTML file that opens anywhere, offline, and says what was removed and why."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from adrefine.evaluation.models import MODELS
from adrefine.manifest import DEFECT
from adrefine.metrics.deciding import UNNAMED
from adrefine.metrics.reviewing import SHARES
from adrefine.report import gallery, lists, words
from adrefine.report.data import ReportData
from adrefine.report.lists import Aside
from adrefine.report.originals import AT_WORKING_SIZE, Originals

_METRICS = {  # column titles, and what a reader should know of each
    "auroc": ("AUROC", "chance that a defective photo scores over a good one"),
    "aupr": ("AUPR", "average precision"),
    "f1_max": ("best F1", "at the threshold that suits the test best; for comparison with papers"),
    "mcc": ("MCC", "at the alarm threshold"),
    "recall": ("caught", "share of defects over the alarm threshold"),
    "fpr": ("false alarms", "share of good photos over the alarm threshold"),
    "pixel_auroc": ("pixel AUROC", "AUROC of single pixels"),
    "aupro": ("AUPRO", "overlap with each defect, up to 30 % false-positive pixels"),
}
_THRESHOLDS = {
    "conformal": "held-out good photos (the alarm threshold)",
    "validation_f1": "best F1 on held-out good photos and synthetic defects",
    "test_f1": "best F1 on the test itself, as papers do: it looks at the test labels",
}
_PLOTS = {  # title, caption, whether it takes the full width
    "auroc_by_round": (
        "Did it help?",
        "Each dot is the detector after a round of cleaning, measured on test photos.",
        False,
    ),
    "removal": (
        "Was the right thing removed?",
        "Orange should rise along the dashed line, blue should stay at the bottom.",
        False,
    ),
    "roc": (
        "How good is the detector now?",
        "The closer to the upper left corner, the more defects are caught for the same false alarms.",
        False,
    ),
    "scores_by_round": (
        "How the scores moved",
        "How many training photos got which score. Photos to the right of the dashed limit could be removed.",
        True,
    ),
    "layers": (
        "Which network saw it?",
        "Test photos. The student finds small local defects, the autoencoder what is wrong as a whole.",
        True,
    ),
    "distillation": (
        "How well does the patch network imitate its teacher?",
        "1 is no better than the mean of every channel. If the curve still falls, more steps help.",
        False,
    ),
}


@dataclass(frozen=True)
class Plot:
    """A plot as a data URI; `alt` says in words what it shows."""

    source: str
    title: str
    caption: str
    alt: str
    wide: bool


@dataclass(frozen=True)
class Table:
    """Cells as text; `titles` are (heading, explanation)."""

    titles: list[tuple[str, str]]
    rows: list[list[str]]


def render(
    data: ReportData,
    plots: Path,
    limit: int = 24,
    originals: Originals = AT_WORKING_SIZE,
    aside: Aside | None = None,
    photos: pd.DataFrame | None = None,
) -> str:
    """The whole report as one HTML page without external files or timestamps, with one small script.

    Parts that need labels are missing where there are none; a photo that cannot be read leaves a placeholder.

    Args:
        plots: folder written by `plots.write_all`; plots that are not there are left out.
        limit: most photos in each section of the gallery (evaluate.gallery).
        originals: where the photos themselves are.
        aside, photos: what the lists need beside the training photos: files of ingest, all of the manifest.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subline, tone = words.subline(data)
    aside = aside or Aside()
    script = (Path(__file__).parent / "report.js").read_text()
    return environment.get_template("report.html").render(
        headline=words.headline(data),
        subline=subline,
        tone=tone,
        cards=words.cards(data),
        notes=data.notes,
        stop_reason=data.stop_reason,
        labelled=bool(words.hidden(data.train).any()),
        measured=words.figure(data.metrics, "detection", "refined", "auroc") is not None,
        ceiling=words.figure(data.metrics, "detection", "oracle", "auroc") is not None,
        dataset=str(data.settings.get("dataset", "")),
        plots=_plots(data, plots),
        sections=gallery.sections(data, limit, originals, aside.votes),
        large=originals.large(gallery.shown_rows(data, limit)) if limit else {},
        lists=lists.listings(data, aside, originals, data.train if photos is None else photos),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        with_maps=bool(data.maps),
        maps_of_places=data.settings.get("maps") == "places",
        turned=data.turned,
        interest=data.interest,
        metrics=_metrics(data),
        decisions=_decisions(data),
        by_type=_by_type(data),
        ranking=_ranking(data),
        rounds=_rounds(data.rounds),
        review=_review(data),
        settings=[(key, _setting(value)) for key, value in data.settings.items()],
    )


def _plots(data: ReportData, folder: Path) -> list[Plot]:
    plots = []
    for name, (title, caption, wide) in _PLOTS.items():
        path = folder / f"{name}.png"
        if path.is_file():
            source = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
            if name == "distillation" and data.throughput:
                caption = f"{caption} It was done at {data.throughput:g} images a second."
            plots.append(Plot(source, title, caption, _alt(name, data), wide))
    return plots


def _alt(name: str, data: ReportData) -> str:
    values = [(MODELS[model], words.figure(data.metrics, "detection", model, "auroc")) for model in MODELS]
    aurocs = ", ".join(f"{model} {value:.3f}" for model, value in values if value is not None)
    return {
        "roc": f"ROC curves of the test photos. AUROC: {aurocs}.",
        "auroc_by_round": f"Line plot of the test AUROC after each round. AUROC: {aurocs}.",
        "removal": f"Hidden defects found and good photos lost as photos are removed. {words.headline(data)}",
        "layers": f"Maps of {len(data.layers)} test photos, the detector's parts side by side.",
        "distillation": "Line plot of the loss of the distillation against the step.",
        "scores_by_round": "Histograms of the training photos' scores in some rounds, with the limit.",
    }[name]


def _metrics(data: ReportData) -> Table | None:
    names = [name for name in _METRICS if any(_metric(data, model, name) is not None for model in MODELS)]
    rows = [
        [title, *(_three(_metric(data, model, name)) for name in names)]
        for model, title in MODELS.items()
        if any(_metric(data, model, name) is not None for name in names)
    ]
    return Table([("detector", ""), *(_METRICS[name] for name in names)], rows) if rows else None


def _decisions(data: ReportData) -> Table | None:
    """What the refined detector decides at each threshold, side by side."""
    decisions = data.metrics.get("thresholds", {}).get("refined", {})
    plain = {"precision": ("precision", ""), "f1": ("F1", ""), "accuracy": ("accuracy", "")}
    names = {name: _METRICS[name] for name in ("mcc", "recall", "fpr")} | plain
    counts = {"tp": "caught", "fn": "missed", "fp": "false alarms", "tn": "passed"}
    rows = [
        [
            title,
            *(_three(words.figure(decisions, at, name)) for name in names),
            *(f"{decisions[at][name]:,}" for name in counts),
        ]
        for at, title in _THRESHOLDS.items()
        if at in decisions
    ]
    heads = [(title, "at that threshold") for title, _ in names.values()]
    heads = [("threshold from", ""), *heads, *((title, "photos") for title in counts.values())]
    return Table(heads, rows) if rows else None


def _by_type(data: ReportData) -> Table | None:
    """Which share of each type of defect every model catches, where there is more than one type."""
    caught = data.metrics.get("recall_by_type", {})
    models = [model for model in MODELS if caught.get(model)]
    types = sorted({kind for model in models for kind in caught[model]})
    if len(types) < 2:
        return None
    there = data.test.loc[data.test["label"] == DEFECT, "defect_type"].replace("", UNNAMED).value_counts()
    rows = [
        [kind, f"{there.get(kind, 0):,}", *(_three(words.figure(caught, m, kind)) for m in models)]
        for kind in types
    ]
    explained = "share over the alarm threshold"
    return Table([("type", ""), ("test photos", ""), *((MODELS[m], explained) for m in models)], rows)


def _ranking(data: ReportData) -> Table | None:
    """How well the last scores bring the hidden defects to the top, where it is known which they are."""
    heads = {
        "auroc": ("AUROC", "chance that a hidden defect ranks over a good photo"),
        "ap": ("average precision", ""),
        "depth_90": ("depth 90 %", "share of the list to read"),
        "depth_100": ("depth 100 %", "share of the list to read"),
    }
    figures = {name: words.figure(data.metrics, "ranking", name) for name in heads}
    if all(value is None for value in figures.values()):
        return None
    cells = [
        words.percent(value) if value is not None and name.startswith("depth") else _three(value)
        for name, value in figures.items()
    ]
    return Table([("ranking", ""), *heads.values()], [["of the training photos", *cells]])


def _review(data: ReportData) -> Table | None:
    """How much of what a human should see the first photos of the queue hold."""
    names = {
        "found": "hidden defects, in the order of the queue",
        "plain_found": "hidden defects, in the order of the first detector's score",
        "wrong": "wrong decisions (defects kept, good photos removed), in the order of the queue",
        "plain_wrong": "wrong decisions, in the order of the first detector's score",
    }
    rows = []
    for name, title in names.items():
        within = [words.figure(data.metrics, "review", f"{name}_at_{share}pct") for share in SHARES]
        shares = [words.percent(share) for share in within if share is not None]
        rows += [[title, *shares]] if shares else []
    heads = [(f"first {share} %", "") for share in SHARES]
    return Table([("share that is found in the", ""), *heads], rows) if rows else None


def _metric(data: ReportData, model: str, name: str) -> float | None:
    group = "localization" if name in ("pixel_auroc", "aupro") else "detection"
    return words.figure(data.metrics, group, model, name)


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _rounds(rounds: pd.DataFrame) -> Table | None:
    shown = {
        "round": ("round", "0: before the first one", "{:.0f}".format),
        "kept": ("photos kept", "", "{:,.0f}".format),
        "removed": ("removed", "in this round", "{:,.0f}".format),
        "residual_noise": ("still hidden", "hidden defects among the photos kept", words.percent),
        "auroc": ("test AUROC", "of the detector trained on them", "{:.3f}".format),
    }
    names = [name for name in shown if name in rounds and rounds[name].notna().any()]
    cells = [
        [shown[name][2](row[name]) if pd.notna(row[name]) else "–" for name in names]
        for row in rounds.to_dict("records")
    ]
    return Table([shown[name][:2] for name in names], cells) if cells else None


def _setting(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
