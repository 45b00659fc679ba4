"""What would run and why, from DVC's words."""

from __future__ import annotations

import json
from typing import Any

from adrefine.orchestration.plan import PLAN, Planned, Standing, plan


def standing(changed: dict[str, list[Any]], never: tuple[str, ...] = ()) -> Standing:
    """A graph a → b → d, a → c."""
    return Standing(("a", "b", "c", "d"), (("a", "b"), ("a", "c"), ("b", "d")), frozenset(never), changed)


def test_a_standing_is_read_from_its_line() -> None:
    said = {"stages": ["a", "b"], "edges": [["a", "b"]], "never": ["b"], "changed": {"a": ["always changed"]}}
    read = Standing.read(PLAN + json.dumps(said))
    assert read == Standing(("a", "b"), (("a", "b"),), frozenset({"b"}), {"a": ["always changed"]})


def test_ancestors_are_found_through_others() -> None:
    assert standing({}).after("d") == {"a", "b"}
    assert standing({}).after("a") == set()


def test_nothing_changed_nothing_runs() -> None:
    assert plan(standing({})) == [Planned(name, "up to date", "") for name in "abcd"]


def test_force_runs_everything() -> None:
    assert plan(standing({}), force=True) == [Planned(name, "runs", "forced") for name in "abcd"]


def test_what_follows_a_change_may_run() -> None:
    changed = {"b": [{"changed deps": {"params.yaml": {"irp.lambda": "modified"}}}]}
    assert plan(standing(changed)) == [
        Planned("a", "up to date", ""),
        Planned("b", "runs", "`irp.lambda` changed"),
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
                "params.yaml": {"osr.lambda": "modified", "osr.keep": "new"},
                "data/y": "deleted",
            }
        },
        {"changed outs": {"models/z": "not in cache"}},
        "changed command",
    ]
    why = plan(standing({"a": changed}))[0].why
    assert why == (
        "`osr.lambda`, `osr.keep` changed; `data/x`, `data/y` are deleted or modified; "
        "`models/z` is not in cache; changed command"
    )


def test_long_lists_are_cut() -> None:
    many = {f"f{number}": "modified" for number in range(5)}
    assert (
        plan(standing({"a": [{"changed deps": many}]}))[0].why == "`f0`, `f1`, `f2` and 2 more are modified"
    )
