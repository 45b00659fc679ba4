"""What every server of ours does: listen at a free address, refuse in one line, add headers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from adrefine.errors import UserError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Any]

_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


def listen(host: str, port: int) -> socket.socket:
    """A socket at that address; port 0: a free one.

    Raises:
        UserError: the address is taken, or none of this machine.
    """
    if not 0 <= port < 2**16:  # getaddrinfo takes the remainder
        raise UserError(f"--port {port}: give one from 1 to 65535, or 0 for a free one")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        place = socket.socket(family, kind, protocol)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
        return place
    except OSError as error:
        raise UserError(
            f"cannot listen at {host}, port {port} ({error.strerror}): choose others with --host and --port"
        ) from None


def is_here(host: str) -> bool:
    """Whether nobody on another machine reaches that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names(host: str) -> list[str]:
    """By which other machines call a server at that address."""
    return [] if is_here(host) else [socket.gethostname(), socket.getfqdn()]


def url(host: str, listening: socket.socket) -> str:
    """Of a server, as a person opens it; without a slash at the end."""
    shown = f"[{host}]" if ":" in host else (socket.gethostname() if host == "0.0.0.0" else host)
    return f"http://{shown}:{listening.getsockname()[1]}"


async def refuse(send: Send, code: int, why: str) -> None:
    """Answer with one line of text."""
    await send({"type": "http.response.start", "status": code, "headers": _TEXT})
    await send({"type": "http.response.body", "body": f"adrefine: {why}\n".encode()})


def adding(headers: Mapping[bytes, bytes], send: Send) -> Send:
    """`send` that gives every answer these headers, where it has none of that name."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            extra = [(name, value) for name, value in headers.items() if name not in given]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return with_headers
