from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from adrefine.report import plots, style

ALL = ["auroc_by_round.png", "removal.png", "roc.png", "scores_by_round.png"]


def names(paths):
    return [path.name for path in paths]


def test_plots_are_drawn_and_the_same_bytes_whatever_the_users_style(data, tmp_path):
    assert names(plots.write_all(data, tmp_path / "a")) == ALL
    with matplotlib.rc_context(
        {"figure.dpi": 50, "savefig.dpi": 50, "font.size": 30, "axes.facecolor": "red"}
    ):
        plots.write_all(data, tmp_path / "b")
    for name in ALL:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert np.asarray(Image.open(tmp_path / "a" / name).convert("L")).std() > 5


def test_plots_that_need_labels_vanish_and_leave_no_old_file_behind(data, unlabelled, tmp_path):
    folder = tmp_path / "plots"
    plots.write_all(data, folder)
    assert names(plots.write_all(unlabelled, folder)) == ["scores_by_round.png"]
    assert names(folder.iterdir()) == ["scores_by_round.png"]


def test_a_run_that_never_scored_has_no_histogram(data, tmp_path):
    idle = replace(data, history=data.history.iloc[:0], train=data.train.assign(kept=1))
    assert names(plots.write_all(idle, tmp_path)) == ["auroc_by_round.png", "roc.png"]


def test_a_distillation_has_its_curve(data, tmp_path):
    curve = pd.DataFrame({"step": [1, 2, 3], "loss": [0.9, 0.8, 0.7]})
    assert names(plots.write_all(replace(data, distillation=curve), tmp_path)) == sorted(
        [*ALL, "distillation.png"]
    )
    line = plots._distillation(replace(data, distillation=curve)).axes[0].lines[0]
    assert line.get_xydata().tolist() == curve.to_numpy().tolist()


def test_parts_of_a_map_stand_beside_their_photo(data, tmp_path):
    files = data.test["path"].head(2).tolist()
    heat = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    layers = [
        (file, {"student": heat, "autoencoder": heat * n, "both": heat}) for n, file in enumerate(files)
    ]
    shown = replace(data, layers=layers)
    assert names(plots.write_all(shown, tmp_path)) == sorted([*ALL, "layers.png"])
    axes = drawn("layers", shown)
    assert [one.get_title(loc="left") for one in axes[:4]] == ["photo", "student", "autoencoder", "both"]
    assert len(axes) == 8
    assert {one.images[0].get_clim() for one in (axes[2], axes[6])} == {(0, 1)}  # one scale a column


def test_one_kind_of_test_photo_has_no_roc(data, tmp_path):
    only_good = replace(data, test=data.test[data.test["label"] == 0])
    assert "roc.png" not in names(plots.write_all(only_good, tmp_path))


def drawn(name, data):
    with style.applied():
        return plots._PLOTS[name](data).axes


def test_removal_curve_counts_defects_and_good_photos(data):
    lines = {line.get_label(): list(line.get_ydata()) for line in drawn("removal", data)[0].lines}
    assert lines == {
        "ideal: first all the defects": [0, 1, 2, 3],
        "hidden defects found (of 3)": [0, 1, 2, 2],
        "good photos lost": [0, 0, 0, 1],
    }


def test_roc_has_a_line_for_each_model_there_is(data):
    labels = [
        line.get_label()
        for line in drawn("roc", replace(data, test=data.test.drop(columns="oracle")))[0].lines
    ]
    assert any(label.startswith("after cleaning") for label in labels)
    assert not any(label.startswith("ceiling") for label in labels)


def test_long_refinements_show_first_last_and_evenly_between(data):
    once = data.history[data.history["round"] == 2]
    long = replace(data, history=pd.concat([once.assign(round=number) for number in range(1, 22)]))
    titles = [axes.get_title(loc="left") for axes in drawn("scores_by_round", long)]
    assert titles == [f"Round {number}: 2 of 11 removed" for number in (1, 5, 9, 13, 17, 21)]


@pytest.mark.parametrize("score", [0.0, 1e-3, 1e6])
def test_histograms_bear_equal_and_widely_spread_scores(data, tmp_path, score):
    flat = replace(data, history=data.history.assign(score=score))
    assert "scores_by_round.png" in names(plots.write_all(flat, tmp_path))
    spread = data.history.copy()
    spread.iloc[0, spread.columns.get_loc("score")] = 1e9
    axes = drawn("scores_by_round", replace(data, history=spread))[0]
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize("low", [1e-3, 0.07, 0.4, 0.9, 1.0, 30.0])
@pytest.mark.parametrize("span", [8.5, 12, 30, 99, 1e3, 1e9])
def test_numbers_under_the_histograms_are_few_and_do_not_overlap(data, low, span):
    scores = np.full(len(data.history), low)
    scores[0] = low * span
    with style.applied():
        figure = plots._PLOTS["scores_by_round"](replace(data, history=data.history.assign(score=scores)))
        figure.draw_without_rendering()
    for axes in figure.axes:
        labels = axes.get_xticklabels(which="both")
        boxes = sorted(
            (label.get_window_extent() for label in labels if label.get_text()), key=lambda box: box.x0
        )
        boxes = [box for box in boxes if axes.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1 + 1]
        assert 2 <= len(boxes) <= plots._TICKS
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
