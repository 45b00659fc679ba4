"""A small bundle behind the model's server: in this process, or at a port by a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from adrefine.model_server import serve
from adrefine.model_server.gate import Gate
from adrefine.model_server.serve import Options
from adrefine.serving import asgi

HERE = "http://127.0.0.1:8321"
TOKEN = "a-token-of-a-test"


def behind(bundle: Path, **options: object) -> Gate:
    """The application."""
    return serve.gate(bundle, Options(**options))  # type: ignore[arg-type]


@contextmanager
def served(gate: Gate) -> Iterator[str]:
    """Its address, while a thread serves it."""
    listening = asgi.listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(gate, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
