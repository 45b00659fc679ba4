from __future__ import annotations

from pathlib import Path

import pytest

from adrefine.benchmark.config import load
from adrefine.benchmark.sections import merged
from adrefine.errors import UserError

SHIPPED = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.yaml"))
ONE = "datasets: [{name: a, layout: demo}]\n"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_are_sound(path):
    assert load(path).datasets


def test_the_example_explains_every_key():
    text = next(path for path in SHIPPED if path.name == "example.yaml").read_text()
    config = load(next(path for path in SHIPPED if path.name == "example.yaml"))
    for kind in (type(config), type(config.datasets[0])):
        for key in kind.model_fields:
            assert f"{key}:" in text, key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "`datasets` is missing"),
        ("- a\n", "must be a mapping"),
        ("datasets: []\n", "`datasets` = []"),
        (ONE + "level: [0]\n", "unknown key `level`: did you mean `levels`?"),
        (
            "datasets: [{name: a, layout: demo, roots: x}]\n",
            "unknown key `datasets.0.roots`: did you mean `root`?",
        ),
        ("datasets: [{name: a, layout: mvtek}]\n", "`datasets.0.layout` = 'mvtek'"),
        ("datasets: [{name: a, layout: demo, n_train: 0}]\n", "`datasets.0.n_train` = 0"),
        ("datasets: [{name: a, layout: mvtec, classes: [x, x]}]\n", "x appears twice"),
        ("datasets: [{name: a, layout: mvtec, classes: [../x]}]\n", "`datasets.0.classes.0` = '../x'"),
        ("datasets: [{name: a, layout: demo}, {name: a, layout: demo}]\n", "a appears twice"),
        (ONE + "levels: [1.6]\n", "`levels.0` = 1.6"),
        (ONE + "levels: [0.1, 0.1]\n", "`levels` = [0.1, 0.1]: 0.1 appears twice"),
        (ONE + "levels: [no]\n", "`levels.0` = False: neither true nor false"),
        (ONE + "levels: []\n", "`levels` = []"),
        (ONE + "seeds: [1]\nseeds: [2]\n", "key `seeds` appears twice, in lines 2 and 3"),
        (ONE + "modes: [none]\n", "`modes.0` = 'none'"),
        (ONE + "ceiling_folds: 1\n", "`ceiling_folds` = 1"),
        (ONE + "localize: -1\n", "`localize` = -1"),
        (ONE + "localize: yes\n", "`localize` = True: neither true nor false"),
        (ONE + "strategies: {oracle: {}}\n", "oracle always runs, take it out"),
        (ONE + "strategies: {limit: {}}\n", "limit is a line of every table, take another name"),
        (ONE + "strategies: {x: {}}\n", "strategy `x`: `refine.strategy` is missing"),
        (ONE + "strategies: {x: {refine: {strategy: irq}}}\n", "strategy `x`: `refine.strategy` = 'irq'"),
        (ONE + "strategies: {x: {refine: {strategy: irp}, irp: {lamda: 2}}}\n", "did you mean `lambda`?"),
        (
            ONE + "strategies: {x: {refine: {strategy: irp}, noise: {level: 0}}}\n",
            "strategy `x`: `noise` is what",
        ),
        (ONE + "strategies: {x: {refine: {strategy: irp}, differnet: {}}}\n", "`differnet` is what all"),
        (ONE + "strategies: {'a|b': {refine: {strategy: irp}}}\n", "strategies.a|b"),
        (ONE + "strategies: {x: {refine: {strategy: consensus}}}\n", "strategy `x` needs synthetic defects"),
        (ONE + "lists: a.csv\n", "`lists` needs `modes: [overlap]`"),
        (ONE + "params: {noise: {seed: 3}}\n", "`params`: `noise.seed` differs from run to run: set `seeds`"),
        (ONE + "params: {dataset: {root: x}}\n", "set `datasets: root` instead"),
        (ONE + "params: {embed: {scales: []}}\n", "`params`: `embed.scales`"),
        (ONE + "detectors: {}\n", "`detectors` = {}"),
        (ONE + "detectors: {d: {detector: efficientdet}}\n", "detector `d`: `detector` = 'efficientdet'"),
        (
            ONE + "detectors: {d: {refine: {folds: 3}}}\n",
            "detector `d`: `refine` is what no detector decides",
        ),
    ],
)
def test_mistakes_are_refused_with_the_name_of_the_key(tmp_path, text, says):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_what_to_name(tmp_path):
    with pytest.raises(UserError, match=r"none.yaml is missing: name a benchmark file"):
        load(tmp_path / "none.yaml")


def test_a_later_layer_wins_key_by_key():
    low = {"a": {"x": 1, "y": {"p": 1}}, "b": 1}
    high = {"a": {"y": {"q": 2}, "z": 3}, "b": {"c": 4}}
    assert merged(low, high) == {"a": {"x": 1, "y": {"p": 1, "q": 2}, "z": 3}, "b": {"c": 4}}
    assert low["a"] == {"x": 1, "y": {"p": 1}}


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("differnet: {}", "differnet"),
        ("flow: {differnet: {preset: paper}}", "differnet"),
        ("differnet: {detector: padim}", "padim"),
        ("mine: {}", None),  # the default
        ("both: {differnet: {epochs: 2}, padim: {top: 0.1}}", None),
    ],
)
def test_an_entry_says_its_detector_by_its_section_or_its_name(
    tmp_path: Path, entry: str, meant: str | None
) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(ONE + f"detectors:\n  {entry}\n")
    (sections,) = load(file).detectors.values()
    assert sections.get("detector") == meant
