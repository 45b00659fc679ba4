"""The Prefect server: the one that is configured, or one of our own that ends with us."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from adrefine.dvc_driver.processes import end_group
from adrefine.errors import UserError

PATIENCE = 120.0  # seconds that a server may take to start


@contextmanager
def server(log: Path) -> Iterator[tuple[str, subprocess.Popen[str] | None]]:
    """The API's address, which becomes PREFECT_API_URL, and the server if it had to be started: that one ends
    with the block.

    Args:
        log: file for what a server of our own prints.

    Raises:
        UserError: the server is on another machine and does not answer, or does not start here.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    url = settings.api.url or f"http://127.0.0.1:{settings.server.api.port}/api"
    os.environ["PREFECT_API_URL"] = url
    refresh_global_settings_context()
    if answers(url):
        yield url, None
        return
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        raise UserError(
            f"PREFECT_API_URL = {url} does not answer: start that server, or unset PREFECT_API_URL"
        )
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


def answers(url: str) -> bool:
    """Whether a Prefect API answers at `url`."""
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/health", timeout=3) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _start(url: str, log: Path) -> subprocess.Popen[str]:
    place = urlsplit(url)
    where = ["--host", str(place.hostname), "--port", str(place.port or 80)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", *where],
            env={**os.environ, "PREFECT_SERVER_UI_API_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
