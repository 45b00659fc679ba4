"""A user's mistake is one line and exit code 2; a fault of ours keeps its traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adrefine.errors import UserError, exit_cleanly, redacted


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


SHORT_READER = """
from adrefine.errors import exit_cleanly

exit_cleanly(lambda: print("line\\n" * 100_000))
"""


def test_a_reader_that_has_seen_enough_ends_it_quietly():
    writer = subprocess.Popen(
        [sys.executable, "-c", SHORT_READER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout
    assert writer.stderr
    assert writer.stdout.readline() == "line\n"
    writer.stdout.close()
    assert (writer.stderr.read(), writer.wait()) == ("", 141)


def test_another_broken_pipe_is_not_hidden():
    with pytest.raises(BrokenPipeError):
        exit_cleanly(fail_with(BrokenPipeError()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clone https://bob:SECRET@host/r.git failed", "clone https://***@host/r.git failed"),
        ("'http://SECRET@host:80/r'", "'http://***@host:80/r'"),
        ("http://bob:SE@CRET@host", "http://***@host"),
        ("s3+https://bob:SECRET@host and ssh://bob:SECRET@host", "s3+https://***@host and ssh://***@host"),
        ("ssh://git@host/r.git", "ssh://git@host/r.git"),  # no secret
        ("git@host:r.git, a@b, https://host/@v1/x@2", "git@host:r.git, a@b, https://host/@v1/x@2"),
    ],
)
def test_no_message_holds_a_password_of_a_url(text, shown):
    assert redacted(text) == shown
    assert str(UserError(text)) == shown
