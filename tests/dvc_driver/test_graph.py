"""The picture of a run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adrefine.dvc_driver.graph import StageOutcome, direct, markdown
from adrefine.dvc_driver.plan import Planned, Standing


def standing(*edges: tuple[str, str]) -> Standing:
    names = sorted({name for edge in edges for name in edge})
    return Standing(tuple(names), edges, frozenset(), {})


EDGES = (("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"))


def test_each_stage_has_the_colour_of_what_it_did() -> None:
    outcomes = {
        "a": StageOutcome("a", "skipped", 0.01),
        "b": StageOutcome("b", "restored", 0.32),
        "c": StageOutcome("c", "failed", 12.0),
    }
    text = markdown(standing(*EDGES), [Planned("b", "runs", "`irp.lambda` changed")], outcomes)
    assert text.startswith("```mermaid\nflowchart TD\n")
    assert '  s0["<b>a</b><br/>skipped"]:::skipped\n' in text
    assert '  s1["<b>b</b><br/>restored · 0.3 s"]:::restored\n' in text
    assert '  s2["<b>c</b><br/>failed · 12.0 s"]:::failed\n' in text
    assert '  s3["<b>d</b><br/>not run"]:::not_run\n' in text
    assert [line for line in text.splitlines() if "-->" in line] == [
        *("  s0 --> s1", "  s1 --> s2", "  s2 --> s3")
    ]
    assert "| b | restored | 0.3 | `irp.lambda` changed |" in text
    assert "| d | not run |  |  |" in text
    assert "classDef ran" not in text
    assert "green" not in text
    assert "red: failed" in text


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda e: e[0] < e[1]), min_size=1))
def test_leaving_out_arrows_changes_no_ancestor(edges: set[tuple[int, int]]) -> None:
    full = standing(*sorted((str(a), str(b)) for a, b in edges))
    fewer = Standing(full.stages, tuple(direct(full)), frozenset(), {})
    assert all(full.after(name) == fewer.after(name) for name in full.stages)
    for edge in fewer.edges:  # and none can be spared
        rest = Standing(full.stages, tuple(other for other in fewer.edges if other != edge), frozenset(), {})
        assert any(rest.after(name) != full.after(name) for name in full.stages)
