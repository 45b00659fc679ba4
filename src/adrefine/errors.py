"""Errors that people read: what was wrong, where (file, row, key) and what to do about it."""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Callable

_USER = re.compile(r"(\w[\w+.-]*://)([^\s/'\"]+)@")  # of a URL: scheme, then user and password


class UserError(Exception):
    """A mistake in data or parameters that the user can mend. Printed as one line, never as a traceback.

    Passwords and tokens in URLs are left out of the message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


def redacted(text: str) -> str:
    """`text` with `***` for the user, password or token in its URLs; `ssh://git@host` names a user alone."""
    return _USER.sub(lambda found: found[0] if _is_name(*found.groups()) else f"{found[1]}***@", text)


def _is_name(scheme: str, user: str) -> bool:
    """Whether what stands before the host is no secret; HTTP takes a token there without a password."""
    return ":" not in user and not scheme.lower().startswith("http")


def exit_cleanly(main: Callable[[], None]) -> None:
    """Run `main`; a UserError becomes one clear line on stderr and exit code 2.

    A reader of stdout that has seen enough (`| head`) ends it quietly with 141, as it ends other commands.
    """
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        print(f"adrefine: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("adrefine: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        if not _stdout_is_closed():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit flushes, and fails, too
        sys.exit(141)


def _stdout_is_closed() -> bool:
    """Whether stdout is a pipe whose reader has gone."""
    pipe = select.poll()
    pipe.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in pipe.poll(0))
