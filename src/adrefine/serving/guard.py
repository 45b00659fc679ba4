"""Prefect's server with a password, for those alone who came to it by its own address.

    python -m adrefine.serving.guard --host 127.0.0.1 --port 4200

Prefect answers every page of every browser on the machine, whatever site it is from. Here a request must name
this server in `Host` (a page whose own name was turned to this machine, DNS rebinding, names its own), and
where a browser says what page asks (`Origin`), that page must be this server's.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from adrefine.errors import UserError, exit_cleanly
from adrefine.serving import asgi
from adrefine.serving.asgi import Application, Message, Receive, Send

_POLICY_VIOLATION = 1008  # close code of a websocket (RFC 6455, 7.4.1)


class Guard:
    """An ASGI application that hands welcome requests on to another, and answers the rest with 403."""

    def __init__(self, application: Application, names: Iterable[str]) -> None:
        """names: by which others call this machine; its addresses need none, nobody else can own them."""
        self.application = application
        self.names = frozenset(name.lower() for name in ("localhost", *names))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self.is_welcome(scope["headers"]):
            await self.application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await asgi.refuse(send, 403, "only this server's own page and name are allowed")

    def is_welcome(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether `Host` is this server and `Origin`, if there is one, is a page of it."""
        hosts, origins = (
            [value.decode("latin-1") for name, value in headers if name.lower() == wanted]
            for wanted in (b"host", b"origin")
        )
        place = _place(f"//{hosts[0]}") if len(hosts) == 1 else None
        if place is None or not (_is_address(place[0]) or place[0] in self.names):
            return False
        return all(_place(origin) == place for origin in origins)


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of a URL, all names of this machine's loopback as one; None: it has none."""
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if not name:
        return None
    loopback = name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
    return ("localhost" if loopback else name), port or (443 if parts.scheme == "https" else 80)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def arguments(description: str | None) -> argparse.Namespace:
    """The command line: host, port, and name, a list."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; default: %(default)s")
    parser.add_argument("--port", type=int, default=4200, help="default: %(default)s")
    parser.add_argument(
        "--name", action="append", default=[], help="by which other machines call this one; may be repeated"
    )
    return parser.parse_args()


def run(host: str, port: int, names: Iterable[str]) -> None:
    """Serve until stopped, with the password of PREFECT_SERVER_API_AUTH_STRING.

    Raises:
        UserError: there is none, or the address is not free.
    """
    asgi.listen(host, port).close()  # tells in one line what the server itself would in thirty
    os.environ.setdefault("PREFECT_SERVER_UI_API_URL", "/api")  # under whatever name the page was opened
    import uvicorn
    from prefect.context import refresh_global_settings_context
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    refresh_global_settings_context()
    api = get_current_settings().server.api
    if api.auth_string is None:
        raise UserError("PREFECT_SERVER_API_AUTH_STRING is not set: give this server a password")
    uvicorn.run(
        Guard(create_app(final=True), (socket.gethostname(), socket.getfqdn(), *names)),
        host=host,
        port=port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level="warning",
    )


def main() -> None:
    """What `server` starts."""
    chosen = arguments(__doc__)
    run(chosen.host, chosen.port, chosen.name)


if __name__ == "__main__":
    exit_cleanly(main)
