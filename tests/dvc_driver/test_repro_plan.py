"""What would run and why, from DVC's words."""

from __future__ import annotations

import json
from typing import Any

from adrefine.dvc_driver.plan import PLAN, Planned, Standing, plan


def standing(
    changed: dict[str, list[Any]], never: tuple[str, ...] = (), **settings: dict[str, list[str]]
) -> Standing:
    """A graph a → b → d, a → c."""
    edges = (("a", "b"), ("a", "c"), ("b", "d"))
    return Standing(("a", "b", "c", "d"), edges, frozenset(never), changed, settings)


def test_a_standing_is_read_from_its_line() -> None:
    said = {"stages": ["a", "b"], "edges": [["a", "b"]], "never": ["b"], "changed": {"a": ["always changed"]}}
    read = Standing.read(PLAN + json.dumps({**said, "settings": {"a": {"x.y": ["1", "2"]}}}))
    assert read == Standing(
        ("a", "b"), (("a", "b"),), frozenset({"b"}), {"a": ["always changed"]}, {"a": {"x.y": ["1", "2"]}}
    )


def test_ancestors_are_found_through_others() -> None:
    assert standing({}).after("d") == {"a", "b"}
    assert standing({}).after("a") == set()


def test_nothing_changed_nothing_runs() -> None:
    assert plan(standing({})) == [Planned(name, "up to date", "") for name in "abcd"]


def test_force_runs_everything() -> None:
    assert plan(standing({}), force=True) == [Planned(name, "runs", "forced") for name in "abcd"]


def test_what_follows_a_change_may_run() -> None:
    changed = {"b": [{"changed deps": {"params.yaml": {"irp.lambda": "modified"}}}]}
    assert plan(standing(changed, b={"irp.lambda": ["1.5", "2.0"]})) == [
        Planned("a", "up to date", ""),
        Planned("b", "runs", "`irp.lambda` 1.5 → 2.0"),
        Planned("c", "up to date", ""),
        Planned("d", "may run", "if `b` changes its input"),
    ]


def test_a_stage_that_never_ran_says_only_that() -> None:
    changed = {"c": [{"changed deps": {"params.yaml": "new", "data/x": "modified"}}, "changed command"]}
    assert plan(standing(changed, never=("c",)))[2] == Planned("c", "runs", "never ran")


def test_every_kind_of_change_has_its_words() -> None:
    changed = [
        {
            "changed deps": {
                "data/x": "modified",
                "params.yaml": {"osr": "modified"},
                "data/y": "deleted",
            }
        },
        {"changed outs": {"models/z": "not in cache"}},
        "changed command",
    ]
    settings = {f"osr.k{number}": ["1", "2"] for number in range(5)}
    why = plan(standing({"a": changed}, a=settings))[0].why
    assert why == (
        "`osr.k0` 1 → 2; `osr.k1` 1 → 2; `osr.k2` 1 → 2; 2 more settings; "
        "`data/x`, `data/y` are deleted or modified; "
        "`models/z` is not in cache; changed command"
    )


def test_long_lists_are_cut() -> None:
    many = {f"f{number}": "modified" for number in range(5)}
    assert (
        plan(standing({"a": [{"changed deps": many}]}))[0].why == "`f0`, `f1`, `f2` and 2 more are modified"
    )
