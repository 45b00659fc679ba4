"""The server: at an address, until it is stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from adrefine.errors import UserError
from adrefine.model_server import app
from adrefine.model_server.counts import Counts
from adrefine.model_server.current import Current
from adrefine.model_server.desk import Desk
from adrefine.model_server.gate import Gate
from adrefine.serving import asgi

SHORTEST = 16  # characters of a token
CONNECTIONS = 200  # at once; more get 503


@dataclass(frozen=True)
class Options:
    """Of `adrefine serve-model`.

    Attributes:
        token: empty: none is needed. names: by which others call this machine.
        max_megabytes: of a request. max_megapixels, threads: see `Desk`.
    """

    host: str = "127.0.0.1"
    port: int = 8321
    token: str = ""
    names: tuple[str, ...] = ()
    max_megabytes: float = 64
    max_megapixels: float | None = None
    threads: int | None = None

    def check(self) -> None:
        """Refuse what would leave the server open, or unable to take a photo.

        Raises:
            UserError: says which option, and what to give.
        """
        if not self.token and not asgi.is_here(self.host):
            raise UserError(
                f"--host {self.host} lets other machines in: give --token or ADREFINE_TOKEN, such as what "
                "`openssl rand -hex 16` prints"
            )
        if self.token and (len(self.token) < SHORTEST or not self.token.isascii() or " " in self.token):
            raise UserError(f"--token needs at least {SHORTEST} ASCII characters without a space")
        for name in ("max_megabytes", "max_megapixels", "threads"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e6:
                raise UserError(f"--{name.replace('_', '-')} {value:g}: give a number over 0")


def gate(folder: Path, options: Options, names: Iterable[str] = ()) -> Gate:
    """The whole application with the bundle in `folder`.

    Raises:
        UserError: there is no bundle, or a damaged one.
    """
    counts = Counts(app.PATHS)
    desk = Desk(Current(folder), counts, options.threads, options.max_megapixels)
    largest = round(options.max_megabytes * 1e6)
    return Gate(app.create(desk), options.token, (*options.names, *names), largest, counts.answered)


def serve(folder: Path, options: Options) -> None:
    """Print how to ask, and serve until ctrl-C.

    Raises:
        UserError: no bundle, an address that is taken or open without a token.
    """
    import uvicorn

    options.check()
    listening = asgi.listen(options.host, options.port)
    made = gate(folder, options, asgi.names(options.host))
    address = asgi.url(options.host, listening)
    header = " -H 'Authorization: Bearer TOKEN'" if options.token else ""
    print(f"{folder}: {address}\n    curl -F photo=@new.png{header} {address}/predict", flush=True)
    print("ctrl-C ends it.", flush=True)
    if not asgi.is_here(options.host):
        print(
            "adrefine: warning: HTTP does not encrypt photos and token: use it only in a network that "
            "you trust",
            file=sys.stderr,
        )
    config = uvicorn.Config(
        made,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        limit_concurrency=CONNECTIONS,
    )
    uvicorn.Server(config).run(sockets=[listening])
