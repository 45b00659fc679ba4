"""README: short, and its lists are those of the code."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, get_args

import pytest
import yaml

from adrefine.params import Params, Refine
from docs import pages
from docs.pages import REPOSITORY

README = pages.text("README.md")
STAGES: dict[str, Any] = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
GRAPHS = {
    page: block.text for page in pages.manual() for block in pages.blocks(page) if "mermaid" in block.words
}


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 200
    assert len(README.split()) <= 1500


def test_stages_are_those_of_the_graph() -> None:
    assert re.findall(r"^\| (\w+) \|", _section("The graph"), re.MULTILINE)[1:] == list(STAGES)


@pytest.mark.parametrize("page", GRAPHS)
def test_drawn_graphs_have_all_stages_and_only_true_arrows(page: str) -> None:
    """An arrow is true where its second stage reads an output of the first. What is no stage is in ([ ])."""
    lines = [line for line in GRAPHS[page].splitlines()[1:] if "([" not in line]
    arrows = [arrow for line in lines for arrow in _arrows(line)]
    assert {stage for arrow in arrows for stage in arrow} == set(STAGES)
    for first, second in arrows:
        outs = [_path(out) for kind in ("outs", "metrics", "plots") for out in STAGES[first].get(kind, [])]
        read = [re.sub(r"\$\{\w+\}", "[^/]+", dep) for dep in STAGES[second]["deps"]]
        assert any(re.match(dep, out) or f"{dep}/".startswith(f"{out}/") for dep in read for out in outs), (
            f"{second} reads nothing that {first} writes, {outs}"
        )


@pytest.mark.parametrize(
    ("title", "model", "key", "header"),
    [("Strategies", Refine, "strategy", "refine.strategy"), ("Detectors", Params, "detector", "detector")],
)
def test_strategies_and_detectors_are_those_of_params_yaml(
    title: str, model: Any, key: str, header: str
) -> None:
    """Their page has a row for each; README leaves out what it likes, and names no other."""
    known = set(get_args(model.model_fields[key].annotation))
    page = f"docs/{title.lower()}.md"
    described = _first_column(pages.text(page), header)
    assert described == known, f"the table `{header}` of {page} needs one row for each {key}"
    named = _first_column(_section(title), header)
    assert named
    assert named <= known


def test_rooms_of_the_package_are_named_and_there() -> None:
    package = REPOSITORY / "src" / "adrefine"
    (layout,) = [block.text for block in pages.blocks("README.md") if block.text.startswith("src/adrefine/")]
    lines = [line.strip().split("   ")[0] for line in layout.splitlines()[1:]]
    named = {name for line in lines for name in line.split()}
    assert len(lines) <= 10
    assert all((package / name).exists() for name in named), named
    assert {f"{path.parent.name}/" for path in package.glob("*/__init__.py")} <= named


def _first_column(text: str, header: str) -> set[str]:
    """The names in the first column of the table whose first column is called `header`."""
    table = text.split(f"| `{header}` |", 1)[1].split("\n\n", 1)[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE))


def _section(title: str) -> str:
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def _arrows(line: str) -> list[tuple[str, str]]:
    """(from, to) of a line such as `a & b --> c --> d`."""
    groups = [re.findall(r"\w+", part) for part in line.split("-->")]
    return [(a, b) for left, right in pairwise(groups) for a in left for b in right]


def _path(out: str | dict[str, Any]) -> str:
    return out if isinstance(out, str) else next(iter(out))
