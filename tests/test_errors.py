"""A user's mistake is one line and exit code 2; a fault of ours keeps its traceback."""

from __future__ import annotations

import pytest

from adrefine.errors import UserError, exit_cleanly


def fail_with(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("params.yaml: `irp.lambda` = 0"), 2, "adrefine: error: params.yaml: `irp.lambda` = 0\n"),
        (KeyboardInterrupt(), 130, "adrefine: interrupted\n"),
    ],
)
def test_what_people_cause_ends_in_one_line(capsys, error, code, line):
    with pytest.raises(SystemExit) as caught:
        exit_cleanly(fail_with(error))
    assert caught.value.code == code
    assert capsys.readouterr() == ("", line)


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_cleanly(fail_with(ZeroDivisionError()))


def test_success_is_silent(capsys):
    exit_cleanly(lambda: None)
    assert capsys.readouterr() == ("", "")
