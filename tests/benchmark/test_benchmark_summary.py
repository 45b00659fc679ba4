from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from adrefine.benchmark.results import COLUMNS
from adrefine.benchmark.summary import groups
from benchmark.made_up import filled, results, written

CONTENT = {
    "datasets": [{"name": "d", "layout": "mvtec", "n_train": 100}],
    "levels": [0.1],
    "seeds": [0, 1],
    "strategies": {"s": {"refine": {"strategy": "irp"}}},
}


def lines_of(tmp_path, changes):
    """The lines of a table whose AUROCs (and others) by (seed, strategy) are `changes`."""
    config, found = filled(written(tmp_path, CONTENT))
    rows = found.valid()
    for (seed, strategy), values in changes.items():
        for column, value in values.items():
            rows.loc[(rows["seed"] == seed) & (rows["strategy"] == strategy), column] = value
    (group,) = groups(rows, config)
    return {line.strategy: line for line in group.lines}


def test_the_gap_closed_is_a_ratio_of_means_not_a_mean_of_ratios(tmp_path):
    """Seed 0 wins 5 of 10 points, seed 1 wins 3 where there was 1: together 8 of 11."""
    aurocs = {(0, "vanilla"): 0.80, (0, "s"): 0.85, (0, "oracle"): 0.90}
    aurocs |= {(1, "vanilla"): 0.90, (1, "s"): 0.93, (1, "oracle"): 0.91}
    lines = lines_of(tmp_path, {key: {"auroc": value} for key, value in aurocs.items()})
    assert lines["s"].gap_closed == pytest.approx(8 / 11)
    assert lines["vanilla"].gap_closed is None
    assert lines["s"].figures["auroc"].mean == pytest.approx(0.89)
    assert lines["s"].figures["auroc"].spread == pytest.approx(0.04)


def test_a_gap_needs_the_same_seeds_of_all_three(tmp_path):
    aurocs = {(0, "vanilla"): 0.8, (0, "s"): 0.85, (0, "oracle"): 0.9, (1, "s"): np.nan}
    lines = lines_of(tmp_path, {key: {"auroc": value} for key, value in aurocs.items()})
    assert lines["s"].gap_closed == pytest.approx(0.5)


def test_the_limit_is_what_the_ceilings_ranking_wins(tmp_path):
    aurocs = {(seed, "vanilla"): {"auroc": 0.8} for seed in (0, 1)}
    aurocs |= {(seed, "oracle"): {"auroc": 0.9, "ceiling_auroc": 0.85 + seed / 50} for seed in (0, 1)}
    limit = lines_of(tmp_path, aurocs)["limit"]
    assert limit.gap_closed == pytest.approx(0.6)
    assert limit.figures["auroc"].mean == pytest.approx(0.86)
    assert (limit.figures["precision"], limit.seeds) == (limit.figures["recall"], 2)
    known = {(seed, "oracle"): {"ceiling_auroc": np.nan} for seed in (0, 1)}
    assert "limit" not in lines_of(tmp_path / "old", known)


def test_efficiency_is_a_ratio_of_means(tmp_path):
    changes = {(0, "s"): {"rank_auroc": 0.6}, (1, "s"): {"rank_auroc": 0.8}}
    changes |= {(seed, "oracle"): {"ceiling_rank_auroc": value} for seed, value in ((0, 0.9), (1, 1.0))}
    assert lines_of(tmp_path, changes)["s"].efficiency == pytest.approx(0.2 / 0.45)


def test_precision_is_the_mean_of_the_runs_that_have_one(tmp_path):
    lines = lines_of(tmp_path, {(0, "s"): {"precision": np.nan}, (1, "s"): {"precision": 0.25}})
    assert (lines["s"].figures["precision"].mean, lines["s"].seeds) == (0.25, 2)
    assert np.isnan(lines["oracle"].figures["precision"].mean)


def test_the_mean_of_classes_leaves_out_those_that_are_not_complete(tmp_path):
    content = {**CONTENT, "datasets": [{"name": "d", "layout": "mvtec", "classes": ["a", "bbb", "cc"]}]}
    path = written(tmp_path, {**content, "levels": [0.1, 0.2]})
    config, found = filled(path, unreachable=(("bbb", 0.2),))
    rows = found.valid()
    rows = rows[~((rows["class"] == "cc") & (rows["noise"] == 0.2) & (rows["seed"] == 1))]
    mean, *classes = groups(rows, config)
    assert [group.title for group in (mean, *classes)] == ["d, mean of the classes", "d a", "d bbb", "d cc"]
    assert mean.parts == {0.1: ("a", "bbb", "cc"), 0.2: ("a",)}
    assert list(mean.impossible) == ["noise 0.2 bbb"]
    at_first = rows[(rows["noise"] == 0.1) & (rows["strategy"] == "s")]
    expected = at_first.groupby("seed")["auroc"].mean()
    line = next(line for line in mean.lines if (line.noise, line.strategy) == (0.1, "s"))
    assert line.figures["auroc"].mean == pytest.approx(expected.mean())
    assert line.figures["auroc"].spread == pytest.approx(expected.std(ddof=0))


def test_no_rows_no_groups(tmp_path):
    config, _ = results(written(tmp_path, CONTENT))
    assert list(groups(pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS), config)) == []
