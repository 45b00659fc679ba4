"""The page of a small project, served by a thread; what runs in the place of `dvc repro` is the test's."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

import small_project
from adrefine import paths, review
from adrefine.review_page import app
from adrefine.review_page.applying import Run
from adrefine.review_page.door import Door
from adrefine.review_page.room import Room
from adrefine.reviewing.project import Review
from fakes import MapStore

TOKEN = "token-of-a-test"


@dataclass
class Page:
    """A page that is served. `runs`: the lines of each run to come."""

    folder: Path
    store: MapStore
    room: Room
    door: Door
    run: Run
    runs: list[list[str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/{TOKEN}/"

    def answers(self) -> dict[str, str]:
        """Verdict by photo, as the file has it."""
        return {name: one.verdict for name, one in review.read(self.folder / paths.REVIEW).items()}


@contextmanager
def made(
    folder: Path,
    store: MapStore,
    held: Collection[str] = (),
    names: Mapping[str, str] | None = None,
    shared: bool = False,
) -> Iterator[Page]:
    """The page of a project in `folder`, which is the working folder inside the block."""
    before, cache = Path.cwd(), os.environ.pop("ADREFINE_CACHE_DIR", None)
    os.chdir(folder)
    try:
        small_project.write(store, held, names or {}, shared)
        yield _page(folder, store)
    finally:
        os.chdir(before)
        if cache:
            os.environ["ADREFINE_CACHE_DIR"] = cache


def _page(folder: Path, store: MapStore) -> Page:
    runs: list[list[str]] = []

    def lines() -> Generator[str]:
        yield from runs.pop(0) if runs else []

    room = Room(Review.of_project())
    run = Run(room.reload, lines)
    return Page(folder, store, room, Door(app.create(room, run, "a test"), TOKEN), run, runs)


@contextmanager
def served(page: Page) -> Iterator[Page]:
    """The same, at a port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    page.port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(page.door, log_level="warning", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    yield page
    server.should_exit = True
    thread.join(20)
