"""The lines of `dvc repro`, stage by stage, and progress bars kept short."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine.dvc_driver import repro
from adrefine.dvc_driver.processes import Failed
from adrefine.dvc_driver.repro import Event, Repro, calm, events, parse

SAID = """\
WARNING: something of DVC's
Stage 'ingest' didn't change, skipping

Running stage 'train':
> python -m adrefine.stages.train
a line
Updating lock file 'dvc.lock'
Stage 'refine' is cached - skipping run, checking out outputs
"""


def bar(done: int, total: int = 9, before: str = "") -> str:
    return (
        f"{before}refine:  {100 * done // total}%|██▌  | {done}/{total} [00:0{done}<00:12,  1.39s/round, x=1]"
    )


def test_each_line_has_its_stage_and_what_dvc_does() -> None:
    found = [(event.stage, event.what) for event in parse(SAID.splitlines())]
    assert found == [(None, None), ("ingest", "skipped"), *[("train", "ran")] * 4, ("refine", "restored")]


def test_a_line_is_handed_on_before_the_next_is_there() -> None:
    def lines() -> Iterator[str]:
        yield "Running stage 'a':"
        raise AssertionError("read too far")

    assert next(iter(parse(calm(lines())))).stage == "a"


def test_a_stage_ends_where_the_next_begins() -> None:
    read: list[str] = []

    def lines() -> Iterator[str]:
        for line in ("Running stage 'a':", "x", "Running stage 'b':", "y"):
            read.append(line)
            yield line

    groups = groupby(parse(lines()), key=lambda event: event.stage)
    assert [event.line for event in next(groups)[1]] == ["Running stage 'a':", "x"]
    assert len(read) == 3


def test_of_a_progress_bar_one_line_in_some_seconds_and_the_last() -> None:
    seconds = iter([0, 1, 2, 3.5, 4, 9, 9.5])
    lines = [bar(number) for number in range(7)]
    assert list(calm(lines, every=3, clock=lambda: next(seconds))) == [lines[0], lines[3], lines[5], lines[6]]


def test_a_bar_is_told_to_its_end_before_the_line_that_follows() -> None:
    lines = [bar(0), bar(5), bar(9), "", "refine: 3 removed", bar(0, 4), bar(4, 4)]
    shown = list(calm(lines, clock=lambda: 0.0))
    assert shown == [bar(0), bar(9), "refine: 3 removed", bar(0, 4), bar(4, 4)]


@pytest.mark.parametrize(
    "line",
    ["embed: 12image [00:01,  9.1image/s]", "x: 3it [1:00:01, ?it/s]", "x:   0%|  | 0/9 [00:00<?, ?it/s]"],
)
def test_every_form_of_bar_is_known(line: str) -> None:
    assert list(calm([line, line, line], clock=lambda: 0.0)) == [line, line]


@given(st.lists(st.sampled_from(["plain", "[00:01] text", "12:30 [x]", "  indented"])))
def test_what_is_no_bar_is_never_left_out(lines: list[str]) -> None:
    assert list(calm(lines, clock=lambda: 0.0)) == lines


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In place of the DVC process: a shell that says how things stand, then repeats the word that it got."""

    def install(script: str) -> None:
        plan = 'PLAN {"stages": ["a"], "edges": [], "never": [], "changed": {}, "settings": {}}'
        monkeypatch.setattr(repro, "_COMMAND", ["sh", "-c", f"echo '{plan}'; read word; {script}"])

    install('echo "Running stage \'a\':"; echo "$word"; pwd')
    monkeypatch.setattr(repro, "install", install, raising=False)
    return tmp_path


def test_the_run_waits_for_the_word(stand_in: Path) -> None:
    with Repro(stand_in) as dvc:
        assert dvc.standing().stages == ("a",)
        lines = [event.line for event in dvc.events(force=True)]
    assert lines == ["Running stage 'a':", '["--force"]', str(stand_in)]


def test_the_run_alone(stand_in: Path) -> None:
    found = list(events(folder=stand_in))
    assert found[1:] == [Event("a", "ran", "[]"), Event("a", "ran", str(stand_in))]


def test_a_dvc_that_nobody_wants_ends(stand_in: Path) -> None:
    with Repro(stand_in) as dvc:
        pass
    assert dvc._process.poll() is not None


def test_a_failed_stage_says_its_last_words(stand_in: Path) -> None:
    repro.install(  # type: ignore[attr-defined]
        "echo \"Running stage 'a':\"; echo 'adrefine: error: no photos'; echo '> later'; "
        "echo \"ERROR: failed to reproduce 'a': exited with 2\"; exit 255"
    )
    with pytest.raises(
        Failed,
        match=r"\(exit code 255\): failed to reproduce 'a': exited with 2: adrefine: error: no photos$",
    ):
        list(events(folder=stand_in))


def test_a_run_that_fails_before_any_stage_says_what_dvc_says_alone(stand_in: Path) -> None:
    repro.install('echo "ERROR: no data/raw"; exit 255')  # type: ignore[attr-defined]
    with pytest.raises(Failed, match=r"\(exit code 255\): no data/raw$"):
        list(events(folder=stand_in))


def test_a_project_that_dvc_cannot_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="not inside of a DVC repository"):
        list(events(folder=tmp_path))
