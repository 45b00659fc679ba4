"""Names of experiments, DVC's arguments for them, and which are done."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adrefine.errors import UserError
from adrefine.params import Dataset, Params, Refine
from adrefine.sweeps import experiments, overrides

BASE = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
KEYS = st.sampled_from(["refine.strategy", "noise.level", "irp.lambda", "embed.scales", "dataset.root"])
TEXT = st.text(st.sampled_from("aZ09_-./\\'\"[]{}=,:@~^ é…"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
OVERRIDES = st.dictionaries(KEYS, SCALARS | st.lists(st.integers(), max_size=3), max_size=4)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"refine.strategy": "osr", "noise.level": 0.3}, "osr-noise0.3"),
        ({"noise.level": 0.3, "refine.strategy": "osr"}, "osr-noise0.3"),
        ({"detector": "efficientad", "noise.seed": 1}, "efficientad-noise.seed1"),
        ({"irp.lambda": 2.0}, "irp.lambda2"),
        ({"irp.lambda": 1.25}, "irp.lambda1.25"),
        ({"refine.scorer": "in_sample"}, "refine.scorer=in_sample"),
        ({"refine.scorer": None, "embed.rotate": False}, "embed.rotate=false-refine.scorer=null"),
        ({}, "baseline"),
    ],
)
def test_names_tell_the_overrides(changed: dict[str, Any], name: str) -> None:
    assert experiments.name_of(changed) == name


def test_values_that_stand_alone_belong_to_one_key_only() -> None:
    words = [
        get_args(Dataset.model_fields["name"].annotation),
        get_args(Params.model_fields["detector"].annotation),
        get_args(Refine.model_fields["strategy"].annotation),
    ]
    assert all(words)
    for one, other in itertools.combinations(words, 2):
        assert not set(one) & set(other)


@given(OVERRIDES)
def test_names_are_valid_git_refs_and_of_one_piece(changed: dict[str, Any]) -> None:
    name = experiments.name_of(changed)
    assert name == experiments.name_of(dict(reversed(changed.items())))
    assert "/" not in name
    assert not name.startswith("-")
    assert len(name) < 140
    checked = subprocess.run(["git", "check-ref-format", f"refs/exps/ab/cd/{name}"], check=False)
    assert checked.returncode == 0, name


@given(st.lists(OVERRIDES, min_size=2, max_size=5))
def test_other_overrides_have_other_names(many: list[dict[str, Any]]) -> None:
    different = {json.dumps(changed, sort_keys=True): changed for changed in many}
    kinds = {json.dumps(_as_params_would(changed), sort_keys=True) for changed in different.values()}
    names = {experiments.name_of(_as_params_would(changed)) for changed in different.values()}
    assert len(names) == len(kinds)


def _as_params_would(changed: dict[str, Any]) -> dict[str, Any]:
    """One type a key, as after `overrides.typed`: words for the strategy and folder, numbers for the rest."""
    words = ("refine.strategy", "dataset.root")
    return {
        key: f"{'osr' if key == words[0] else ''}{value}" if key in words else float(len(str(value)))
        for key, value in changed.items()
    }


@given(SCALARS | st.lists(TEXT | st.integers(), max_size=3))
def test_values_reach_hydra_as_they_are(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(f"++a.b={experiments.hydra(value)}")
    read = override.value()
    plain = [getattr(item, "text", item) for item in read] if isinstance(read, list) else read
    assert getattr(plain, "text", plain) == value
    assert not override.is_sweep_override()


def test_a_plan_has_each_experiment_once_with_all_its_settings() -> None:
    planned = experiments.plan(BASE, overrides.read(["refine.strategy=osr,irp,osr", "irp.lambda=2"]))
    assert [experiment.name for experiment in planned] == ["osr-irp.lambda2", "irp-irp.lambda2"]
    assert planned[0].settings == overrides.with_overrides(
        BASE, {"refine.strategy": "osr", "irp.lambda": 2.0}
    )
    assert planned[0].arguments == [
        *("--name", "osr-irp.lambda2"),
        *("--set-param", "++refine.strategy=osr", "--set-param", "++irp.lambda=2.0"),
    ]


def shown(*found: tuple[str, dict[str, Any], dict[str, Any]]) -> str:
    """As `dvc exp show --json` prints it."""
    rows = [
        {
            "name": name,
            "revs": [
                {
                    "data": {
                        "params": {"params.yaml": {"data": settings}},
                        "metrics": {"reports/headline.json": {"data": metrics}},
                    }
                }
            ],
        }
        for name, settings, metrics in found
    ]
    return json.dumps([{"rev": "workspace", "experiments": None}, {"rev": "abc", "experiments": rows}])


def test_done_is_what_exists_with_these_settings_and_metrics() -> None:
    planned = experiments.plan(BASE, overrides.read(["refine.strategy=osr,irp,mad"]))
    found = experiments.parse_show(
        shown(("osr", planned[0].settings, {"a": 1}), ("irp", planned[1].settings, {}), ("x", BASE, {"a": 2}))
    )
    assert set(found) == {"osr", "x"}
    assert experiments.done(planned, found) == {"osr"}


def test_numbers_that_yaml_writes_in_two_ways_are_the_same() -> None:
    planned = experiments.plan(BASE, [{"refine.strategy": "osr"}])
    settings = copy.deepcopy(planned[0].settings)
    settings["pretrain_pdn"]["learning_rate"] = "1e-4"
    assert experiments.done(planned, experiments.parse_show(shown(("osr", settings, {"a": 1})))) == {"osr"}


@pytest.mark.parametrize("other", [{"noise.level": 0.4}, {"noise.from_another_version": 1}])
def test_an_experiment_of_that_name_with_other_settings_is_told(other: dict[str, Any]) -> None:
    planned = experiments.plan(BASE, [{"refine.strategy": "osr"}])
    settings = overrides.with_overrides(planned[0].settings, other)
    found = experiments.parse_show(shown(("osr", settings, {"a": 1})))
    with pytest.raises(UserError, match="`osr` of this commit with other settings: `dvc exp rename osr"):
        experiments.done(planned, found)
