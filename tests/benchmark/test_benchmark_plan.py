from __future__ import annotations

import copy

import pytest

from adrefine.benchmark import plan
from adrefine.benchmark.config import load
from benchmark.made_up import written

CONTENT = {
    "datasets": [
        {"name": "one", "layout": "mvtec", "root": "here", "classes": ["a", "b"], "n_train": 20},
        {"name": "two", "layout": "mtd", "root": "there"},
    ],
    "levels": [0.0, 0.2],
    "seeds": [3, 4],
    "detectors": {"d": {"differnet": {"epochs": 2}}, "e": {"differnet": {"epochs": 3, "seed": 9}}},
    "strategies": {
        "s": {"refine": {"strategy": "irp"}, "irp": {"lambda": 1.2}},
        "t": {"refine": {"strategy": "osr", "seed": 7}},
    },
    "params": {"refine": {"max_rounds": 4}},
}


def runs(tmp_path, change=lambda content: None):
    content = copy.deepcopy(CONTENT)
    change(content)
    cells = plan.cells(load(written(tmp_path, content)))
    return {(run.cell, run.strategy): run for members in cells.values() for run in members}


def test_every_combination_is_there_once_vanilla_first_and_oracle_last(tmp_path):
    cells = plan.cells(load(written(tmp_path, CONTENT)))
    assert len(cells) == (2 + 1) * 2 * 2 * 2
    assert {tuple(run.strategy for run in members) for members in cells.values()} == {
        ("vanilla", "s", "t", "oracle")
    }
    assert [str(cell) for cell in cells][:3] == [
        "one a, d, no_overlap, noise 0, seed 3",
        "one a, d, no_overlap, noise 0, seed 4",
        "one a, d, no_overlap, noise 0.2, seed 3",
    ]


def test_a_run_has_the_settings_of_all_layers_and_the_seed_where_none_is_set(tmp_path):
    found = runs(tmp_path)
    cell = plan.Cell("one", "b", "no_overlap", 0.2, 4, "e")
    params = found[cell, "t"].params
    assert (params.dataset.name, params.dataset.root) == ("mvtec", "here/b")
    assert params.noise.model_dump(exclude={"pool_fraction"}) == {
        "level": 0.2, "mode": "no_overlap", "n_train": 20, "n_test": None, "seed": 4
    }  # fmt: skip
    assert (params.differnet.epochs, params.differnet.seed) == (3, 9)
    assert (params.refine.strategy, params.refine.seed, params.refine.max_rounds) == ("osr", 7, 4)
    other = found[plan.Cell("one", "b", "no_overlap", 0.2, 4, "d"), "s"].params
    assert (other.differnet.seed, other.refine.seed, other.irp.lambda_) == (4, 4, 1.2)
    vanilla = found[cell, "vanilla"].params.refine
    assert (vanilla.strategy, vanilla.scorer) == ("vanilla", "in_sample")


def set_lambda(content):
    content["strategies"]["s"]["irp"]["lambda"] = 1.3


def set_osr(content):
    content["strategies"]["s"]["osr"] = {"lambda": 1.7}


def set_rounds(content):
    content["params"]["refine"]["max_rounds"] = 5


def set_folds(content):
    content["ceiling_folds"] = 3


def set_localize(content):
    content["localize"] = 20


def unset_localize(content):
    content["localize"] = 0


def set_epochs(content):
    content["detectors"]["d"]["differnet"]["epochs"] = 5


def set_root(content):
    content["datasets"][0]["root"] = "elsewhere"


def set_evaluate(content):
    content["params"]["evaluate"] = {"gallery": 1}


def set_n_train(content):
    content["datasets"][1]["n_train"] = 30


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (set_lambda, lambda cell, name: name == "s"),
        (set_osr, lambda cell, name: name == "s"),
        (set_rounds, lambda cell, name: name in ("s", "t")),
        (set_folds, lambda cell, name: name == "oracle"),
        (set_localize, lambda cell, name: True),
        (unset_localize, lambda cell, name: False),
        (set_epochs, lambda cell, name: cell.detector == "d"),
        (set_n_train, lambda cell, name: cell.dataset == "two"),
        (set_root, lambda cell, name: False),
        (set_evaluate, lambda cell, name: False),
    ],
)
def test_a_digest_changes_with_the_settings_that_decide_the_row_and_no_others(tmp_path, change, stale):
    before, after = runs(tmp_path), runs(tmp_path, change)
    changed = {key for key in before if before[key].digest != after[key].digest}
    assert changed == {key for key in before if stale(*key)}


def test_what_a_cell_shares_has_one_name_and_other_cells_have_another(tmp_path):
    found = runs(tmp_path)
    names = {}
    for (cell, _), run in found.items():
        key = (cell.dataset, cell.noise, cell.seed, cell.detector)  # classes differ by folder
        names.setdefault(key, set()).add(run.base)
    assert all(len(bases) == 1 for bases in names.values())
    assert len(set.union(*names.values())) == len(names)


def test_the_initial_model_is_the_same_whether_or_not_maps_are_measured(tmp_path):
    before, after = runs(tmp_path), runs(tmp_path, set_localize)
    assert {key: run.base for key, run in before.items()} == {key: run.base for key, run in after.items()}
    assert {run.localize for run in after.values()} == {20}
