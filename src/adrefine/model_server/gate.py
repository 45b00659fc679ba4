"""Who may ask: programs that name this machine and have the token, no page of a browser."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from adrefine.serving import asgi
from adrefine.serving.asgi import Application, Message, Receive, Send
from adrefine.serving.guard import Guard

HEALTH = "/healthz"  # open without the token, for load balancers: it tells nothing but that we live
HEADERS = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
Headers = list[tuple[bytes, bytes]]
Told = Callable[[str, int], None]


class TooLarge(Exception):
    """The body of a request has more bytes than the server takes."""


class Gate:
    """An ASGI application that hands on what is welcome, with a body of at most `largest` bytes.

    Args:
        token: empty: nobody needs one. names: by which others call this machine, see `Guard`.
        told: is called with path and status of every answer.
    """

    def __init__(
        self, application: Application, token: str, names: Iterable[str], largest: int, told: Told
    ) -> None:
        self.application, self.token, self.largest, self.told = application, token, largest, told
        self.guard = Guard(self._named, names)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.told(scope["path"], message["status"])
            await send(message)

        await self.guard(scope, receive, asgi.adding(HEADERS, counted))

    async def _named(self, scope: Message, receive: Receive, send: Send) -> None:
        headers: Headers = [(name.lower(), value) for name, value in scope["headers"]]
        lengths = [value for name, value in headers if name == b"content-length"]
        if _of_a_page(headers):
            await asgi.refuse(send, 403, "web pages may not use this server, only programs may")
        elif scope["path"] != HEALTH and not self._has_token(headers):
            await asgi.refuse(send, 401, "send the header `Authorization: Bearer TOKEN` of `serve-model`")
        elif any(not one.isdigit() or int(one) > self.largest for one in lengths):
            await asgi.refuse(send, 413, self.too_large())
        else:
            await self.application(scope, self._bounded(receive), send)

    def too_large(self) -> str:
        """What the limit is, for people."""
        return f"more than {self.largest / 1e6:g} MB, the server's --max-megabytes"

    def _has_token(self, headers: Headers) -> bool:
        if not self.token:
            return True
        given = [value for name, value in headers if name == b"authorization"]
        kind, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        return kind.lower() == b"bearer" and secrets.compare_digest(token.strip(), self.token.encode())

    def _bounded(self, receive: Receive) -> Receive:
        """`receive` that counts: a request without a length may send any number of bytes."""
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.largest:
                raise TooLarge(self.too_large())
            return message

        return counting


def _of_a_page(headers: Headers) -> bool:
    """Whether a page asked. A browser names it in `Origin` (always, where something is sent) or says in
    `Sec-Fetch-Site` that it was no person who typed the address."""
    return any(
        name == b"origin" or (name == b"sec-fetch-site" and value != b"none") for name, value in headers
    )
