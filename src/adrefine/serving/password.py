"""The password of this user's own Prefect servers: made once, in a file that only the user can read."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from pathlib import Path

from adrefine.errors import UserError

NAME = "adrefine.password"  # in Prefect's folder, ~/.prefect: all servers there share one database
_OTHERS = 0o077  # rights of everybody but the owner
_LONGEST = 4096  # bytes of the file
_SECRET = re.compile(r"[^\s:]+:\S.*")  # one line


def credentials(home: Path) -> str:
    """`user:password`, as Prefect wants it in PREFECT_API_AUTH_STRING; made if there is none.

    Args:
        home: Prefect's folder (PREFECT_HOME).

    Raises:
        UserError: others can read the file, or it holds none; or no file can be made there.
    """
    path = home / NAME
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise UserError(f"no password can be kept in {path} ({error.strerror}): set PREFECT_HOME") from None
    try:
        return _read(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): delete it; a new one is made") from None


def _read(path: Path) -> str:
    """The file's content, if it is one that we would have written."""
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK"))  # a pipe would let us wait
    handle = os.open(path, os.O_RDONLY | sum(flags))
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if os.name != "nt" and (about.st_mode & _OTHERS or about.st_uid != os.getuid()):
            raise UserError(
                f"others can read the password in {path}: delete it; a new one is made at the next start"
            )
        content = file.read(_LONGEST).strip() if stat.S_ISREG(about.st_mode) else b""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if not _SECRET.fullmatch(text):
        raise UserError(f"{path} holds no `user:password`: delete it; a new one is made")
    return text


def told(secret: str, home: Path) -> str:
    """Where the password is, for people; the password itself only in a terminal: a log is read by others."""
    path = home / NAME
    try:
        kept = path.read_bytes().strip() == secret.encode()
    except OSError:
        kept = False
    where = f"in {path}" if kept else "as PREFECT_SERVER_API_AUTH_STRING says"
    return f"{secret}  ({where})" if sys.stdout.isatty() else where


def _make(path: Path) -> None:
    """Write a new one, complete from the first moment; what another process wrote meanwhile stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{NAME}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"adrefine:{secrets.token_urlsafe(24)}\n")
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
