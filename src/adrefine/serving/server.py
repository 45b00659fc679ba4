"""The Prefect server: the one that is configured, or one of our own that ends with us. It has a password.

Whoever reaches a server without one can have its flows run any command: Prefect takes the steps before a flow
(`pull_steps`) from the server, and any page in a browser on this machine can write them there.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from adrefine.dvc_driver.processes import end_group
from adrefine.errors import UserError, redacted
from adrefine.serving import password

PATIENCE = 120.0  # seconds that a server may take to start
ALLOW_OPEN = "ADREFINE_OPEN_SERVER"  # variable that lets a server without a password be used
_HERE = ("127.0.0.1", "localhost", "::1")


@contextmanager
def server(log: Path) -> Iterator[tuple[str, subprocess.Popen[str] | None]]:
    """The API's address, which becomes PREFECT_API_URL, and the server if it had to be started: that one ends
    with the block. This process and all that it starts then have the password.

    Args:
        log: file for what a server of our own prints.

    Raises:
        UserError: the server is on another machine and does not answer, or does not start here; see `admit`.
    """
    settings = _settings()
    url = settings.api.url or f"http://127.0.0.1:{settings.server.api.port}/api"
    _become({"PREFECT_API_URL": url})
    if answers(url):
        admit()
        yield url, None
        return
    if urlsplit(url).hostname not in _HERE:
        raise UserError(
            f"PREFECT_API_URL = {url} does not answer: start that server, or unset PREFECT_API_URL"
        )
    use_password()
    process = _start(url, log)
    try:
        end = time.monotonic() + PATIENCE
        while not answers(url):
            if process.poll() is not None or time.monotonic() > end:
                raise UserError(f"no Prefect server could be started at {url}: see {log}")
            time.sleep(0.3)
        yield url, process
    finally:
        end_group(process)


def use_password() -> str:
    """Give this process, and servers and flows that it starts, this user's password; returned.

    What PREFECT_SERVER_API_AUTH_STRING says goes first.
    """
    settings = _settings()
    given = settings.server.api.auth_string
    secret = given.get_secret_value() if given else password.credentials(settings.home)
    _become({"PREFECT_SERVER_API_AUTH_STRING": secret, "PREFECT_API_AUTH_STRING": secret})
    return str(secret)


def admit() -> None:
    """Make ready to use the configured server, or the one that Prefect starts for a flow where none is.

    Raises:
        UserError: the server does not answer; it needs no password, and `ADREFINE_OPEN_SERVER` does not allow
            that; or it needs one that we do not have.
    """
    settings = _settings()
    url = settings.api.url
    if url is None:
        _check_home(Path(settings.home))
        use_password()
        return
    if not answers(url):
        raise UserError(
            f"PREFECT_API_URL = {redacted(url)} does not answer: start that server, or unset PREFECT_API_URL"
        )
    if _accepts(url, None):
        if os.environ.get(ALLOW_OPEN) != "1":
            raise UserError(
                f"the Prefect server at {url} needs no password: any page in a browser here can run commands "
                f"through it (docs/security.md). Stop it and start `python flows/server.py`, or set "
                f"{ALLOW_OPEN}=1"
            )
        return
    given = settings.api.auth_string or settings.api.key
    if given is None and urlsplit(url).hostname in _HERE:  # to nobody else goes what is ours
        own = password.credentials(settings.home)
        if _accepts(url, own):
            _become({"PREFECT_API_AUTH_STRING": own})
            return
    if given is None or (settings.api.auth_string and not _accepts(url, given.get_secret_value())):
        raise UserError(
            f"the Prefect server at {url} does not accept adrefine's password: set "
            "PREFECT_API_AUTH_STRING to the one that it was started with"
        )


def home() -> Path:
    """Prefect's folder."""
    return Path(_settings().home)


def _check_home(folder: Path) -> None:
    """Prefect keeps its database there, and says little where it cannot."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{folder}, where Prefect keeps its records, cannot be written: set PREFECT_HOME")


def answers(url: str) -> bool:
    """Whether a Prefect API answers at `url`."""
    return _get(f"{url}/health", None) is not None


def basic(secret: str) -> str:
    """The `Authorization` header for `user:password` (RFC 7617)."""
    return f"Basic {base64.b64encode(secret.encode()).decode()}"


def _accepts(url: str, secret: str | None) -> bool:
    """Whether the API lets in who has `secret` (`user:password`; None: who has none)."""
    return isinstance(_get(f"{url}/admin/version", secret), str)


def _get(url: str, secret: str | None) -> Any:
    """What is there, as JSON; None: nothing, or not for us."""
    headers = {}
    if secret is not None:
        headers["Authorization"] = basic(secret)
    try:
        with build_opener(ProxyHandler({}), _Stay).open(Request(url, headers=headers), timeout=3) as answer:
            return json.load(answer)
    except (OSError, ValueError, HTTPException):
        return None


class _Stay(HTTPRedirectHandler):
    """Follows nobody elsewhere with a password."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _settings() -> Any:
    from prefect.settings import get_current_settings

    return get_current_settings()


def _become(variables: dict[str, str]) -> None:
    """Set variables for this process and those it starts; Prefect, imported already, takes note."""
    from prefect.context import refresh_global_settings_context

    os.environ.update(variables)
    refresh_global_settings_context()


def _start(url: str, log: Path) -> subprocess.Popen[str]:
    place = urlsplit(url)
    where = ["--host", str(place.hostname), "--port", str(place.port or 80)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "adrefine.serving.guard", *where],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
