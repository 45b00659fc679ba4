"""The page's server: at an address with a token, until it is stopped."""

from __future__ import annotations

import os
import secrets
import sys
import webbrowser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from adrefine.review_page.applying import Run
from adrefine.review_page.door import Door
from adrefine.review_page.room import Room
from adrefine.reviewing.project import Review
from adrefine.serving import asgi
from adrefine.serving.asgi import Application


def application(token: str, reviewer: str = "", names: Iterable[str] = ()) -> tuple[Door, Run]:
    """The page of this project, and the run that it may start."""
    from adrefine.review_page import app

    room = Room(Review.of_project({}), reviewer)  # the answers follow
    run = Run(room.reload)
    behind: Application = app.create(room, run, Path.cwd().name)
    return Door(behind, token, names), run


def serve(host: str = "127.0.0.1", port: int = 0, reviewer: str = "", browser: bool = True) -> None:
    """Print the address, open a browser where there is one, and serve until ctrl-C.

    Args:
        port: 0: a free one.

    Raises:
        UserError: there is nothing to review yet; the address is not free.
    """
    import uvicorn

    token = secrets.token_urlsafe(24)
    door, run = application(token, reviewer, asgi.names(host))
    listening = asgi.listen(host, port)
    address = f"{asgi.url(host, listening)}/{token}/"
    print(f"Review: {address}\nctrl-C ends it; every answer is in data/review.csv at once.", flush=True)
    if not asgi.is_here(host):
        print(
            "warning: this page is open to the network. Everyone who has this address can answer and "
            "start a run. It is not encrypted: use it only in a network that you trust.",
            file=sys.stderr,
        )
    if browser and _has_browser():
        with suppress(webbrowser.Error):
            webbrowser.open(address)
    config = uvicorn.Config(door, log_level="warning", access_log=False, lifespan="off", ws="none")
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        run.close()


def _has_browser() -> bool:
    """Whether a window can be opened: a browser in a terminal would take it over."""
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
