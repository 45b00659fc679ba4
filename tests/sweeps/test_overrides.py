"""Overrides read from the command line and from files, checked and typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from adrefine.errors import UserError
from adrefine.sweeps import overrides

BASE = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())


def test_arguments_are_combined() -> None:
    assert overrides.read(["refine.strategy=osr,irp", "noise.level=0.1,0.3"]) == [
        {"refine.strategy": "osr", "noise.level": 0.1},
        {"refine.strategy": "osr", "noise.level": 0.3},
        {"refine.strategy": "irp", "noise.level": 0.1},
        {"refine.strategy": "irp", "noise.level": 0.3},
    ]


def test_values_are_yaml() -> None:
    assert overrides.read(["embed.scales=[64,32],[448]"]) == [
        {"embed.scales": [64, 32]},
        {"embed.scales": [448]},
    ]
    assert overrides.read(["refine.scorer=null"]) == [{"refine.scorer": None}]


def test_a_file_has_a_grid_and_a_list_and_arguments_vary_each_entry(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("grid: {noise.level: [0.1, 0.3]}\nlist: [{refine.strategy: osr, osr.lambda: 2}]\n")
    assert overrides.read([str(file)]) == [
        {"noise.level": 0.1},
        {"noise.level": 0.3},
        {"refine.strategy": "osr", "osr.lambda": 2},
    ]
    file.write_text("list: [{refine.strategy: osr}, {}]\n")
    assert overrides.read([str(file), "noise.seed=0,1"]) == [
        {"refine.strategy": "osr", "noise.seed": 0},
        {"refine.strategy": "osr", "noise.seed": 1},
        {"noise.seed": 0},
        {"noise.seed": 1},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("grids: {}", "nothing else"),
        ("[]", "nothing else"),
        ("grid: {noise.level: 0.1}", "each key a list"),
        ("grid: {noise.level: []}", "each key a list"),
        ("list: {a: 1}", "must be a mapping"),
        ("list: [osr]", "must be a mapping"),
        ("grid: {a: [1], a: [2]}", "twice"),
    ],
)
def test_a_file_that_says_nothing_clear_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "sweep.yaml").write_text(content)
    with pytest.raises(UserError, match=said):
        overrides.read([str(tmp_path / "sweep.yaml")])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["noise.level"], "neither key=value nor a YAML file"),
        (["noise.level="], "gives no value"),
        (["noise.level=[0.1"], "as in YAML"),
        (["noise.seed=2026-13-45"], "as in YAML.*cannot be read as timestamp"),
        (["noise.seed=&a [*a]"], "alias of itself"),
        (["noise.level=0.1", "noise.level=0.2"], "`noise.level` appears twice"),
    ],
)
def test_an_unclear_argument_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        overrides.read(arguments)


@pytest.mark.parametrize(
    ("key", "given", "wanted"),
    [
        ("irp.lambda", 2, 2.0),
        ("pretrain_pdn.learning_rate", "1e-4", 1e-4),
        ("noise.n_train", 100, 100),
        ("refine.scorer", None, None),
        ("embed.rotate", False, False),
        ("synthesize.kinds.perlin", 0, 0.0),
    ],
)
def test_values_get_the_types_of_params(key: str, given: Any, wanted: Any) -> None:
    value = overrides.typed(BASE, {key: given})[key]
    assert value == wanted
    assert type(value) is type(wanted)


def test_null_stays_null_where_a_preset_fills_it_in() -> None:
    assert overrides.typed(BASE, {"refine.preset": "paper", "refine.scorer": None})["refine.scorer"] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"refine.strateg": "osr"}, "unknown key `refine.strateg`: did you mean `strategy`"),
        ({"refin.strategy": "osr"}, "unknown key `refin`: did you mean `refine`"),
        ({"detector.epochs": 3}, "`detector` is a setting, not a section"),
        ({"refine.strategy": "best"}, r"`refine.strategy` = 'best'"),
        ({"noise.level": 1.7}, "`noise.level` = 1.7"),
        ({"refine": {"strategy": "osr"}}, "`refine` is a section"),
    ],
)
def test_unknown_keys_and_impossible_values_are_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        overrides.typed(BASE, given)


def test_merging_changes_a_copy() -> None:
    base = {"refine": {"strategy": "irp", "folds": 5}}
    assert overrides.with_overrides(base, {"refine.strategy": "osr", "noise.level": 0.1}) == {
        "refine": {"strategy": "osr", "folds": 5},
        "noise": {"level": 0.1},
    }
    assert base == {"refine": {"strategy": "irp", "folds": 5}}
