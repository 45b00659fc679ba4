"""Measure the compared models and gather what the report shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from adrefine.evaluation import figures, maps, scores
from adrefine.evaluation.inputs import Inputs
from adrefine.evaluation.rounds import rounds
from adrefine.io import read_csv, read_json
from adrefine.params import Evaluate
from adrefine.paths import PIXELS
from adrefine.report import notes
from adrefine.report.data import ReportData


def evaluate(inputs: Inputs, params: Evaluate, settings: dict[str, Any]) -> ReportData:
    """Score test and held-out images with every model and gather metrics, tables and maps for the report."""
    for model in inputs.models.values():
        model.apply(params)
    measured = scores.measure(inputs, params.target_fpr)
    metrics = figures.metrics(inputs, params, measured)
    remarks = notes.notes(inputs.refined, measured.test, metrics)
    data = ReportData(
        settings=settings | _of_inputs(inputs),
        metrics=metrics,
        train=measured.train,
        history=inputs.history,
        rounds=rounds(inputs, measured.train, measured.test),
        test=measured.test.assign(**measured.scores),
        thresholds=measured.thresholds,
        stop_reason=inputs.summary["stop_reason"],
        queue=inputs.queue,
        notes=[*inputs.remarks, *notes.told(inputs.summary, measured.train), *remarks],
        distillation=_distillation(inputs.prepared / PIXELS),
        throughput=inputs.throughput,
        turned=inputs.turned,
        interest=inputs.interest,
    )
    return replace(
        data, maps=maps.gallery_maps(inputs, data, params.gallery), layers=maps.layers(inputs, data.test)
    )


def _of_inputs(inputs: Inputs) -> dict[str, Any]:
    """What the report says of the detector's inputs."""
    files = [inputs.prepared / name / "meta.json" for name in inputs.reads]
    meta = {key: value for file in files if file.exists() for key, value in read_json(file).items()}
    titles = {"backbone": "backbone", "views": "views", "size": "PDN", "teacher": "distilled from"}
    titles |= {"init": "PDN starts from", "steps": "distillation steps"}
    facts = {title: meta[name] for name, title in titles.items() if name in meta}
    return {**facts, "maps": "places" if inputs.mapper else "the detector's own"}


def _distillation(pixels: Path) -> pd.DataFrame | None:
    """The loss curve of pretrain_pdn; None if it did no step or the detector needs none."""
    if not (pixels / "loss.csv").exists():
        return None
    curve = read_csv(pixels / "loss.csv")
    return None if curve.empty else curve
