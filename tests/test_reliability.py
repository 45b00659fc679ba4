"""A small sample of the campaign of docs/reliability.md; the page says what the committed run found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability import inputs, kills, own_files, races
from benchmarks.reliability.tally import HAND, LOST, SLOW, TRACEBACK, WRONG, Tally


def bad(tally: Tally, *outcomes: str) -> dict[str, str]:
    return {name: what for name, what in tally.first.items() if name in (*outcomes, TRACEBACK, SLOW)}


def test_damaged_photos_are_read_right_or_refused() -> None:
    """What has check sums never comes out wrong; what has none may, and nothing ends in a traceback."""
    for tally in inputs.photos(60, np.random.default_rng(1)):
        assert bad(tally, *([WRONG] if "check sums)" in tally.kind else [])) == {}, tally.kind
        assert tally.tried == 60


def test_damaged_text_and_files_of_ours_are_told_in_a_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for tally in (
        inputs.masks(40, rng),
        inputs.settings(20, rng, tmp_path),
        inputs.answers(40, rng, tmp_path),
    ):
        assert bad(tally, WRONG) == {}, tally.kind
    (tmp_path / "own").mkdir()
    text, arrays = own_files.all_of(200, rng, tmp_path / "own")
    assert bad(text, WRONG) == {}
    assert bad(arrays) == {}


def test_killed_at_random_instants_all_is_as_if_undisturbed(tmp_path: Path) -> None:
    for tally in kills.small(3, np.random.default_rng(1), tmp_path):
        assert bad(tally, HAND, LOST) == {}, tally.kind


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_killed_at_a_system_call_all_is_as_if_undisturbed(tmp_path: Path) -> None:
    tally = Tally(kills.ANSWERS.kind)
    kills._at_calls(tally, kills.ANSWERS, 2, np.random.default_rng(1), tmp_path)
    assert bad(tally, HAND, LOST) == {}
    assert tally.tried == 2


def test_nothing_is_lost_between_programs_at_the_same_time(tmp_path: Path) -> None:
    for make in (races._answers, races._timings, races._inboxes):
        tally = make(1, tmp_path)
        assert bad(tally, LOST) == {}, tally.kind
