"""The curves that `dvc plots` draws: what is in them, and that dvc.yaml names what is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from adrefine.metrics.detection import auroc
from adrefine.report import curves
from adrefine.report.data import ReportData

GRAPH = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())


def test_dvc_yaml_plots_columns_that_are_there(data: ReportData, tmp_path: Path) -> None:
    curves.write_all(data, tmp_path / "curves")
    assert "reports/curves" in GRAPH["stages"]["evaluate"]["outs"]
    plotted = set()
    for plot in GRAPH["plots"]:
        (settings,) = plot.values()
        for axis in ("x", "y"):
            ((file, column),) = settings[axis].items()
            table = pd.read_csv(tmp_path / "curves" / Path(file).name)
            assert column in table, (file, column)
            assert len(table) > 1
            plotted.add(Path(file).name)
    assert plotted == {path.name for path in (tmp_path / "curves").iterdir()}


def test_the_roc_curve_has_the_area_that_is_the_auroc(data: ReportData) -> None:
    table = curves.roc(data)
    area = np.trapezoid(table["caught"], table["false_alarms"])
    assert area == pytest.approx(auroc(data.test["label"], data.test["refined"]))


def test_scores_are_in_units_of_the_limit_the_worst_first(data: ReportData) -> None:
    table = curves.scores(data)
    assert table["rank"].tolist() == list(range(1, 13))
    assert table["score"].iloc[:3].tolist() == [3.0, 2.5, 2.0]
    assert (np.diff(table["score"]) <= 0).all()
    free = data.train.assign(threshold=np.nan)
    assert curves.scores(replace(data, train=free))["score"].median() == pytest.approx(1.0)
    nobody = data.train.assign(score=np.nan)
    assert len(curves.scores(replace(data, train=nobody))) == 0


def test_without_labels_the_files_have_no_rows_and_the_same_columns(data: ReportData, tmp_path: Path) -> None:
    unknown = replace(data, test=data.test.assign(label=-1), rounds=data.rounds.drop(columns="auroc"))
    for name, made in (("a", data), ("b", unknown), ("c", data)):
        curves.write_all(made, tmp_path / name)
    for file in ("roc.csv", "scores.csv", "rounds.csv"):
        known, without = (pd.read_csv(tmp_path / name / file) for name in "ab")
        assert list(known) == list(without)
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "c" / file).read_bytes()
    assert pd.read_csv(tmp_path / "b/roc.csv").empty
