"""Every job is done once, few are under way at a time, and a process that dies is one clear line."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from adrefine.errors import UserError
from adrefine.runtime.parallel import stream

WORDS = {"label": "test", "unit": "job", "name": lambda job: f"job {job}"}
OUTLIVE = """
import test_parallel as t
for _ in t.stream(t.linger, list(range(8)), batch=1, workers=2, **t.WORDS): print(flush=True)
"""


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def add(offset: int, number: int) -> int:
    return offset + number


def die(number: int) -> int:
    if number == 37:
        os._exit(9)
    return number


def refuse(number: int) -> int:
    if number == 37:
        raise UserError("37 cannot be read")
    return number


def linger(number: int) -> None:
    if number > 0:
        time.sleep(20)


class Counting(list):
    """Jobs that know how many of them were handed out."""

    taken = 0

    def __getitem__(self, part):
        self.taken = max(self.taken, part.stop)
        return super().__getitem__(part)


def test_every_job_is_done_once_in_processes_of_its_own():
    results = list(stream(square, range(50), batch=3, workers=2, **WORDS))
    assert sorted(value for value, _ in results) == [number**2 for number in range(50)]
    assert os.getpid() not in {process for _, process in results}


@pytest.mark.parametrize(("jobs", "workers"), [(50, 1), (11, 2), (0, 2)])
def test_one_worker_or_few_jobs_start_no_process(jobs, workers):
    results = list(stream(square, range(jobs), batch=3, workers=workers, **WORDS))
    assert [value for value, _ in results] == [number**2 for number in range(jobs)]
    assert {process for _, process in results} <= {os.getpid()}


def test_a_partial_is_work_too():
    assert set(stream(partial(add, 7), range(12), batch=1, workers=2, **WORDS)) == set(range(7, 19))


def test_few_jobs_are_under_way_and_none_once_nobody_listens():
    jobs = Counting(range(1000))
    results = stream(square, jobs, batch=2, workers=2, **WORDS)
    for _ in range(10):
        next(results)
    assert jobs.taken <= 10 + 2 * 2 * 3 + 2 * 2 * 3
    results.close()
    assert not multiprocessing.active_children()


def test_a_process_that_dies_is_one_line_with_the_jobs_that_it_may_have_had():
    with pytest.raises(UserError, match=r"a process died .* of job (\d+) to job (\d+): buy memory") as caught:
        list(stream(die, range(100), batch=2, workers=2, remedy="buy memory", **WORDS))
    first, last = (int(word) for word in str(caught.value).replace(":", " ").split() if word.isdigit())
    assert first <= 37 <= last  # the other process may have got on before the death was seen
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_arrives_as_it_is(workers):
    with pytest.raises(UserError, match=r"^37 cannot be read$"):
        list(stream(refuse, range(100), batch=2, workers=workers, **WORDS))


def test_progress_is_shown(capsys):
    list(stream(square, range(12), batch=1, workers=2, **WORDS))
    assert "test: 100%" in capsys.readouterr().err
    list(stream(square, [], **WORDS))
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_outlives_the_main_one(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", OUTLIVE]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as main:
        assert main.stdout is not None
        main.stdout.readline()
        family = [pid for pid in _children(main.pid) for pid in (pid, *_children(pid))]
        main.kill()
    end = time.monotonic() + 10
    while (left := [pid for pid in family if Path(f"/proc/{pid}").exists()]) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(family) >= 3  # the server that forks, and two workers
    assert not left


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_script_that_every_process_would_run_again_is_named(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_parallel as t\n"
    work = "list(t.stream(t.square, list(range(8)), batch=1, workers=2, **t.WORDS))\n"
    guard = 'if __name__ == "__main__":'

    script.write_text(f"{start}{work}")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "UserError: a process died (out of memory?) while it worked on one of job 0 to " in done.stderr
    assert f"In mine.py, what starts the work must stand below `{guard}`" in done.stderr

    script.write_text(f"{start}{guard}\n    {work}")
    assert not subprocess.run([sys.executable, script], capture_output=True, check=False).returncode
