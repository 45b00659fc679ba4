"""Programs followed line by line, and ended with all that they started."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adrefine.dvc_driver import processes
from adrefine.dvc_driver.processes import Failed, output, stream


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests started in the background hand on that interrupts are ignored: then it takes the whole grace."""
    monkeypatch.setattr(processes, "GRACE", 0.3)


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_lines_of_both_streams_come_in_order(tmp_path: Path) -> None:
    script = "pwd; echo \"$NAME\"; echo warning >&2; printf 'no newline at the end'"
    lines = list(stream(shell(script), folder=tmp_path, environment={"NAME": "value"}))
    assert lines == [str(tmp_path), "value", "warning", "no newline at the end"]


def test_lines_come_before_the_program_ends() -> None:
    lines = stream(shell("echo first; sleep 30"))
    begin = time.monotonic()
    assert next(lines) == "first"
    lines.close()
    assert time.monotonic() - begin < 10


def test_a_failure_tells_command_code_and_last_line() -> None:
    with pytest.raises(Failed, match=r"^`sh -c .*` failed \(exit code 3\): no such stage$") as failure:
        list(stream(shell("echo some; echo 'no such stage' >&2; exit 3")))
    assert failure.value.code == 3
    assert failure.value.lines == ["some", "no such stage"]


def test_a_stop_ends_what_the_program_started(tmp_path: Path) -> None:
    lines = stream(shell("(sleep 1; touch late) & echo started; sleep 60"), folder=tmp_path)
    assert next(lines) == "started"
    lines.close()
    time.sleep(1.3)
    assert not (tmp_path / "late").exists()


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    lines = stream(shell("trap '' INT TERM; echo started; sleep 1; touch late"), folder=tmp_path)
    assert next(lines) == "started"
    lines.close()
    time.sleep(1.3)
    assert not (tmp_path / "late").exists()


def test_what_an_ended_program_left_running_is_ended(tmp_path: Path) -> None:
    script = "(sleep 1; touch late) >/dev/null 2>&1 & echo done"
    assert list(stream(shell(script), folder=tmp_path)) == ["done"]
    time.sleep(1.3)
    assert not (tmp_path / "late").exists()


def test_output_leaves_warnings_out_and_says_why_it_failed() -> None:
    assert output(shell("echo warning >&2; echo '{}'")) == "{}\n"
    with pytest.raises(Failed, match="broken"):
        output(shell("echo broken >&2; exit 1"))
    dvc = (
        "echo 'ERROR: unexpected error - read-only'; echo; echo 'Having any troubles? Hit us up at https://x'"
    )
    with pytest.raises(Failed, match=r"\): unexpected error - read-only$"):
        output(shell(f"({dvc}) >&2; exit 255"))


def test_no_line_and_no_failure_holds_a_password_of_a_url() -> None:
    url = "https://bob:SECRET@host/r.git"
    lines = stream(shell(f"echo from {url}; echo no {url} >&2; exit 1 # {url}"))
    assert next(lines) == "from https://***@host/r.git"
    with pytest.raises(Failed) as failure:
        list(lines)
    assert "SECRET" not in str(failure.value)
    assert failure.value.lines == ["from https://***@host/r.git", "no https://***@host/r.git"]
    with pytest.raises(Failed) as failure:
        output(shell(f"echo {url}; exit 1"))
    assert "SECRET" not in str(failure.value) + "".join(failure.value.lines)
    assert output(shell(f"echo {url}")) == f"{url}\n"  # data, not for people


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "it printed nothing"),
        (["one", "two", ""], "two"),
        (["ERROR: first", "x", "ERROR: second", "Having any troubles?"], "second"),
        (["ERROR: 'a' is busy, it is being blocked by:", "  (PID 7): cmd dvc repro", "x"], None),
    ],
)
def test_the_reason_is_the_last_error_and_where_it_goes_on(lines: list[str], why: str | None) -> None:
    told = "'a' is busy, it is being blocked by: (PID 7): cmd dvc repro"
    assert processes.reason(lines) == (why or told)
