"""Errors that people read: what was wrong, where (file, row, key) and what to do about it."""

from __future__ import annotations

import errno
import os
import re
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_USER = re.compile(r"(\w[\w+.-]*://)([^\s/'\"]+)@")  # of a URL: scheme, then user and password

_REFUSED = {
    errno.ENOSPC: "the disk is full: make room and run again; what was there is whole",
    errno.EDQUOT: "your share of the disk is used up: make room and run again; what was there is whole",
    errno.EROFS: "cannot be written: the file system is read-only",
    errno.EACCES: "no permission: give this user the right to read and write it",
    errno.EPERM: "no permission: give this user the right to read and write it",
    errno.EISDIR: "a folder, where a file should be: take it away",
    errno.ENOTDIR: "a file, where a folder should be: take it away",
    errno.EEXIST: "something else, where a folder should be: take it away",
    errno.ELOOP: "a link that leads to itself: take it away",
    errno.EIO: "the disk cannot be read or written (input/output error): check it",
}


class UserError(Exception):
    """A mistake in data or parameters that the user can mend. Printed as one line, never as a traceback.

    Passwords and tokens in URLs are left out of the message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


def redacted(text: str) -> str:
    """`text` with `***` for the user, password or token in its URLs; `ssh://git@host` names a user alone."""
    return _USER.sub(lambda match: match[0] if _is_name(*match.groups()) else f"{match[1]}***@", text)


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
        _fail(str(error))
    except MemoryError:
        _fail("not enough memory: close other programs, or give it more, and run again")
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _stdout_is_closed():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit flushes, and fails
            sys.exit(141)
        _fail_or_raise(error)
    except KeyboardInterrupt:
        print("adrefine: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        _fail_or_raise(error)


def explained(error: BaseException, folder: Path | None = None) -> str | None:
    """One line for what the disk refused, wherever in the chain of errors that stands; None: it was not that.

    Libraries that write through a file of ours fail in their own words over it ("unexpected pos 117376").

    Args:
        folder: where, if the error does not say.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno in _REFUSED:
            place = _name(link) or folder or Path()
            place = Path.cwd() if str(place) == "." else place
            return f"{place}: {_REFUSED[link.errno]}"
        link = link.__cause__ or link.__context__
    return None


def _name(error: OSError) -> str | None:
    """The file that an error names; of one under a passing name the folder."""
    if not isinstance(error.filename, str):
        return None
    path = Path(error.filename)
    return str(path.parent if path.name.endswith(".part") else path)


def _fail_or_raise(error: Exception) -> NoReturn:
    line = explained(error)
    if line is None:
        raise error
    _fail(line)


def _fail(line: str) -> NoReturn:
    print(f"adrefine: error: {redacted(line)}", file=sys.stderr)
    sys.exit(2)


def _stdout_is_closed() -> bool:
    """Whether stdout is a pipe whose reader has gone."""
    pipe = select.poll()
    pipe.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in pipe.poll(0))
