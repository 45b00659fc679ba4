"""Who may come in: whoever has the token in the address, from a page of this server, by a name of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from adrefine.serving import asgi
from adrefine.serving.asgi import Application, Message, Receive, Send
from adrefine.serving.guard import Guard

# Nothing but this server's own files runs or is shown; no page of another site may frame one of these.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"no-referrer",  # the address holds the token
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_OURS = (b"same-origin", b"none")  # of Sec-Fetch-Site: this page asked, or a person typed the address
LARGEST = 2**20  # bytes of a request's body


class Door:
    """An ASGI application that lets in who knows the token, and takes it off the path.

    Args:
        application: what is behind. token: the first part of the path. names: as of `Guard`.
    """

    def __init__(self, application: Application, token: str, names: Iterable[str] = ()) -> None:
        self.application, self.token = application, token
        self.guard = Guard(self._known, names)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await self.guard(scope, receive, asgi.adding(HEADERS, send) if scope["type"] == "http" else send)

    async def _known(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        first, slash, rest = scope["path"].removeprefix("/").partition("/")
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        lengths = [value for name, value in headers if name == b"content-length"]
        if not slash or not secrets.compare_digest(first.encode(), self.token.encode()):
            await asgi.refuse(send, 403, "the address needs the token that `adrefine review --open` printed")
        elif any(site not in _OURS for site in sites) and not _opens(scope["method"], headers):
            await asgi.refuse(send, 403, "the request comes from a page of another site")
        elif any(not one.isdigit() or int(one) > LARGEST for one in lengths) or _chunked(headers):
            await asgi.refuse(send, 413, "the request is too large")
        else:
            await self.application({**scope, "path": f"/{rest}", "raw_path": None}, receive, send)


def _opens(method: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a person follows a link to the page, from a message that the address was sent in."""
    return method == "GET" and (b"sec-fetch-dest", b"document") in headers


def _chunked(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)
