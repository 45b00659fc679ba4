from __future__ import annotations

import time
from pathlib import Path

import pytest

from adrefine.benchmark import schedule
from adrefine.errors import UserError


def leave_a_mark(job: tuple[str, str, str]) -> str:
    """The first of a cell takes its time; the others need what it made."""
    folder, cell, name = job
    mark = Path(folder) / cell
    if name == "first":
        time.sleep(0.2)
        mark.touch()
    return f"{cell} {name} {mark.exists()}"


def fail(job: str) -> str:
    if job == "bad":
        raise UserError("no good")
    time.sleep(60 if job == "slow" else 0)
    return job


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_of_a_cell_is_done_before_its_others(tmp_path, workers):
    cells = [[(str(tmp_path), cell, name) for name in ("first", "x", "y")] for cell in "abc"]
    found = list(schedule.results(leave_a_mark, cells, workers))
    assert sorted(job for job, _ in found) == sorted(job for cell in cells for job in cell)
    assert all(result == f"{job[1]} {job[2]} True" for job, result in found)


def test_an_error_does_not_wait_for_the_runs_beside_it():
    start = time.monotonic()
    with pytest.raises(UserError, match="no good"):
        list(schedule.results(fail, [["slow"], ["bad"]], 2))
    assert time.monotonic() - start < 40


def test_nothing_to_do_is_nothing():
    assert list(schedule.results(fail, [], 2)) == []
