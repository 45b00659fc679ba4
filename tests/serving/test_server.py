"""Which Prefect servers a flow uses: one that needs a password which we have."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest

from adrefine.errors import UserError
from adrefine.serving import server
from adrefine.serving.password import credentials
from adrefine.serving.server import ALLOW_OPEN, admit, basic, use_password

OURS, SERVERS = "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Prefect's folder, and no other setting of Prefect; all is as before afterwards."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with patch.dict(os.environ, kept | {"PREFECT_HOME": str(tmp_path)}, clear=True):
        server._become({})
        yield tmp_path
    server._become({})


@pytest.fixture
def api(home: Path) -> Iterator[Callable[[str | None], str]]:
    """Starts a made-up API that wants a password (None: none) and becomes PREFECT_API_URL."""
    running: list[ThreadingHTTPServer] = []

    def start(secret: str | None) -> str:
        class Api(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                free = secret is None or self.path.endswith("/health")
                right = free or self.headers["Authorization"] == basic(str(secret))
                self.send_response(200 if right else 401)
                self.end_headers()
                self.wfile.write(json.dumps("3.8.8" if right else {"detail": "no"}).encode())

            def log_message(self, *_: object) -> None: ...

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Api))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running[-1].server_port}/api"
        server._become({"PREFECT_API_URL": url})
        return url

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


def test_a_server_that_a_flow_starts_has_a_password(home: Path) -> None:
    admit()
    assert os.environ[OURS] == os.environ[SERVERS] == credentials(home)


def test_the_users_own_password_goes_first(home: Path) -> None:
    server._become({SERVERS: "me:mine"})
    assert use_password() == "me:mine"
    assert os.environ[OURS] == "me:mine"
    assert list(home.iterdir()) == []


def test_an_open_server_is_refused_unless_told(
    api: Callable[[str | None], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = api(None)
    with pytest.raises(UserError, match="needs no password: any page in a browser here can run commands"):
        admit()
    with pytest.raises(UserError, match="needs no password"), server.server(Path("no.log")):
        pass
    monkeypatch.setenv(ALLOW_OPEN, "1")
    admit()
    with server.server(Path("no.log")) as (used, process):
        assert (used, process) == (url, None)


def test_ours_takes_the_password_of_the_file(api: Callable[[str | None], str], home: Path) -> None:
    api(credentials(home))
    admit()
    assert os.environ[OURS] == credentials(home)


def test_anothers_needs_the_one_it_was_started_with(api: Callable[[str | None], str]) -> None:
    api("somebody:else")
    with pytest.raises(UserError, match="does not accept adrefine's password: set PREFECT_API_AUTH_STRING"):
        admit()
    server._become({OURS: "a:guess"})
    with pytest.raises(UserError, match="does not accept adrefine's password"):
        admit()
    server._become({OURS: "somebody:else"})
    admit()


def test_our_password_goes_to_no_other_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def get(url: str, secret: str | None) -> object:
        asked.append(secret)
        return True if url.endswith("/health") else None

    monkeypatch.setattr(server, "_get", get)
    server._become({"PREFECT_API_URL": "http://prefect.example:4200/api"})
    with pytest.raises(UserError, match="set PREFECT_API_AUTH_STRING"):
        admit()
    assert set(asked) == {None}


def test_a_token_in_the_address_is_not_shown(api: Callable[[str | None], str], home: Path) -> None:
    url = api(None).replace("127.0.0.1", "bob:SECRET@127.0.0.1")
    server._become({"PREFECT_API_URL": url})
    with pytest.raises(UserError) as told, server.server(home / "server.log"):
        pass
    assert "SECRET" not in str(told.value)
