"""A progress bar moves in a terminal and writes whole lines, few of them, where stderr is a file."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from adrefine.runtime import progress

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("tqdm.std.time", made)
    return made


def test_a_log_has_a_line_every_ten_seconds_and_the_last(clock, capsys):
    with progress.bar(total=100, label="embed", unit="image") as bar:
        for _ in range(100):
            clock.now += 0.25
            bar.update()
    shown = capsys.readouterr().err
    lines = shown.splitlines()
    assert [line.split("[")[0] for line in lines] == [
        "embed:  40% 40/100 ", "embed:  80% 80/100 ", "embed: 100% 100/100 ",
    ]  # fmt: skip
    assert lines[0].endswith("[00:10<00:15,  4.00image/s]")
    assert "\r" not in shown


def test_a_short_one_has_only_its_last_line(clock, capsys):
    assert list(progress.over("abc", label="maps", unit="image")) == ["a", "b", "c"]
    assert re.fullmatch(r"maps: 100% 3/3 \[00:00<.*\]\n", capsys.readouterr().err)


def test_one_that_is_transient_leaves_no_last_line(clock, capsys):
    for seconds, lines in ((1, 0), (20, 1)):
        with progress.bar(total=2, label="efficientad", unit="step", transient=True) as bar:
            clock.now += seconds
            bar.update()
        shown = capsys.readouterr().err
        assert shown.count("\n") == lines
        assert "\r" not in shown


def test_no_work_is_no_line(capsys):
    assert list(progress.over([], label="maps", unit="image")) == []
    assert capsys.readouterr().err == ""


def test_one_inside_another_writes_lines_too(clock, capsys):
    for _ in progress.over("ab", label="runs", unit="run"):
        for _ in progress.over("abc", label="steps", unit="step"):
            pass
    assert [line[:6] for line in capsys.readouterr().err.splitlines()] == ["steps:", "steps:", "runs: "]


def test_what_was_done_before_counts(clock, capsys):
    with progress.bar(total=10, done=4, label="pretrain_pdn", unit="step") as bar:
        bar.update(3)
    assert capsys.readouterr().err.startswith("pretrain_pdn:  70% 7/10 [")


def test_in_a_terminal_it_moves(clock, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    list(progress.over("abc", label="maps", unit="image"))
    assert screen.getvalue().startswith("\rmaps:   0%|")
    assert screen.getvalue().endswith("\n")


def test_every_bar_is_made_here():
    made = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "flows")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\btqdm\b.*import|import.*\btqdm\b", path.read_text())
    }
    assert made == {"src/adrefine/runtime/progress.py"}
