"""Programs that are followed line by line, and that end with all they started when we are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from adrefine.errors import UserError, redacted

GRACE = 8.0  # seconds between asking a process group to end, insisting, and ending it; Prefect waits for 30
_ERROR = "ERROR: "


class Failed(UserError):
    """A program ended with an error; its lines said why."""

    def __init__(self, command: list[str], code: int, lines: list[str]) -> None:
        super().__init__(f"`{' '.join(command)}` failed (exit code {code}): {reason(lines)}")
        self.code = code
        self.lines = [redacted(line) for line in lines]


def reason(lines: Sequence[str]) -> str:
    """What a program that failed gave as its reason: the last error among its lines, with the next one where
    it goes on there, else the last line."""
    told = [line.strip() for line in lines if line.strip()]
    last = max((at for at, line in enumerate(told) if line.startswith(_ERROR)), default=None)
    if last is None:  # DVC ends with an offer of help
        return (told or ["it printed nothing"])[-1]
    more = told[last + 1 : last + 2] if told[last].endswith(":") else []
    return " ".join([told[last].removeprefix(_ERROR), *more])


def stream(
    command: list[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Generator[str]:
    """The lines that `command` prints on both streams, one by one, without the line's end.

    Closing the generator, or any exception where it is read (a cancelled flow, ctrl-C), ends the whole
    process group: interrupted first, after `GRACE` seconds terminated, then killed.

    Args:
        command: program and arguments. folder: where it runs. environment: added to this process's own.

    Raises:
        Failed: it ended with another exit code than 0; with its last lines.
    """
    yield from follow(start(command, folder=folder, environment=environment), command)


def start(
    command: list[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[str]:
    """`command` started in a process group of its own, both streams in one pipe. The caller ends it:
    `follow` does."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def follow(process: subprocess.Popen[str], command: list[str]) -> Generator[str]:
    """The lines of a program that runs, without passwords in URLs; see `stream`. command: what messages call
    it."""
    last: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            line = redacted(line.rstrip())
            last = [*last[-19:], line]
            yield line
        code = process.wait()
    finally:
        end_group(process)
        process.stdout.close()
    if code:
        raise Failed(command, code, last)


def output(command: list[str], *, folder: Path | None = None) -> str:
    """What `command` prints on its standard output; warnings on the other stream are left out.

    Raises:
        Failed: it ended with another exit code than 0.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed(command, done.returncode, (done.stdout + done.stderr).splitlines())
    return done.stdout


def end_group(process: subprocess.Popen[str]) -> None:
    """End the process, if it still runs, and everything in its group, which outlives it in a crash.

    Interrupted first, as by ctrl-C: DVC then puts back what it had half changed.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        end = time.monotonic() + GRACE
        while _group_lives(process) and time.monotonic() < end:
            if number == signal.SIGINT and process.poll() is not None:
                break  # what a shell put in the background does not hear an interrupt
            time.sleep(0.02)
        if not _group_lives(process):
            return


def _group_lives(process: subprocess.Popen[str]) -> bool:
    process.poll()  # a dead leader would stay in its group until it is waited for
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
