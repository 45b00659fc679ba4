"""Who may ask our Prefect server, and the attack of a page in the user's browser, played on a real one."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import prefect_server
from adrefine.serving.guard import Guard
from adrefine.serving.server import basic
from prefect_server import Server

EVIL = "http://evil.example"
STEP = {"prefect.deployments.steps.run_shell_script": {"script": "touch /tmp/owned"}}


@pytest.mark.parametrize(
    ("host", "origin", "welcome"),
    [
        ("127.0.0.1:4200", None, True),  # a program
        ("localhost:4200", None, True),
        ("[::1]:4200", None, True),
        ("192.168.1.5:4200", None, True),  # an address has no owner but us
        ("nas.local:4200", None, True),  # named at the start
        ("NAS.local", None, True),
        ("127.0.0.1:4200", "http://127.0.0.1:4200", True),  # our own page
        ("localhost:4200", "http://127.0.0.1:4200", True),  # the same, under its other name
        ("nas.local", "http://nas.local", True),
        ("evil.example:4200", None, False),  # DNS rebinding: its name leads here
        ("evil.example:4200", "http://evil.example:4200", False),
        ("127.0.0.1.evil.example:4200", None, False),
        ("127.0.0.1:4200", EVIL, False),  # another site's page
        ("127.0.0.1:4200", "http://127.0.0.1:8000", False),  # another program's page on this machine
        ("127.0.0.1:4200", "null", False),  # a sandboxed frame or a file
        ("127.0.0.1:4200", "http://127.0.0.1:x", False),
        ("", None, False),
    ],
)
def test_who_is_welcome(host: str, origin: str | None, welcome: bool) -> None:
    headers = [(b"Host", host.encode()), *([(b"Origin", origin.encode())] if origin else [])]
    assert Guard(None, ["nas.local"]).is_welcome(headers) is welcome  # type: ignore[arg-type]


def test_two_hosts_are_none() -> None:
    headers = [(b"host", b"127.0.0.1:4200"), (b"host", b"evil.example")]
    assert not Guard(None, []).is_welcome(headers)  # type: ignore[arg-type]
    assert not Guard(None, []).is_welcome([])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prefect_server.started(tmp_path_factory.mktemp("prefect")) as running:
        yield running


@pytest.fixture(scope="module")
def deployment(server: Server) -> str:
    """Id of a deployment, made by who has the password."""
    flow = server.ask("flows/", name="adrefine")["id"]
    return str(server.ask("deployments/", name="here", flow_id=flow, pull_steps=[])["id"])


def send(
    server: Server, method: str, what: str, headers: Mapping[str, str], content: Any = None
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request, as a browser might send it; again while it is busy."""
    end = time.monotonic() + prefect_server.PATIENCE
    while (answer := _send(server, method, what, headers, content))[0] == prefect_server.BUSY:
        assert time.monotonic() < end
        time.sleep(0.3)
    return answer


def _send(
    server: Server, method: str, what: str, headers: Mapping[str, str], content: Any
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=30)
    body = b"" if content is None else json.dumps(content).encode()
    path = what if what.startswith("/") else f"/api/{what}"
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),  # a program of somebody else, without the password
        ({"Authorization": "Basic YWRyZWZpbmU6Z3Vlc3M="}, 401),
        ({"Origin": EVIL}, 403),
        ({"Origin": EVIL, "Authorization": "right"}, 403),
        ({"Host": "evil.example:4200"}, 403),  # DNS rebinding; the browser sends no Origin with a GET
        ({"Host": "evil.example:4200", "Origin": "http://evil.example:4200", "Authorization": "right"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("typed", [True, False])  # without a type a browser asks nobody before it sends
def test_no_page_can_write_a_deployments_steps_and_run_them(
    server: Server, deployment: str, headers: dict[str, str], status: int, typed: bool
) -> None:
    headers = headers | ({"Content-Type": "application/json"} if typed else {})
    if headers.get("Authorization") == "right":
        headers["Authorization"] = basic(server.secret)
    change = {"pull_steps": [STEP]}
    assert send(server, "PATCH", f"deployments/{deployment}", headers, change)[0] == status
    assert send(server, "POST", f"deployments/{deployment}/create_flow_run", headers, {})[0] == status
    assert send(server, "POST", "deployments/filter", headers, {})[0] == status
    (left,) = server.ask("deployments/filter")
    assert left["pull_steps"] == []
    assert server.ask("flow_runs/filter") == []


def test_the_attack_is_one(server: Server, deployment: str) -> None:
    """Who has the password can do what the others are refused."""
    headers = {"Authorization": basic(server.secret), "Content-Type": "application/json"}
    for steps in ([STEP], []):
        assert send(server, "PATCH", f"deployments/{deployment}", headers, {"pull_steps": steps})[0] == 204
        assert server.ask("deployments/filter")[0]["pull_steps"] == steps


def test_a_browser_is_told_that_other_pages_may_not(server: Server, deployment: str) -> None:
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "PATCH"}
    status, headers = send(server, "OPTIONS", f"deployments/{deployment}", asked)
    assert status == 403
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "headers", [{"Origin": EVIL}, {"Host": "evil.example"}, {"Sec-WebSocket-Protocol": "chat"}]
)
@pytest.mark.parametrize("what", ["events/in", "events/out", "logs/out"])
def test_no_page_can_open_a_socket(server: Server, what: str, headers: dict[str, str]) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert send(server, "GET", what, upgrade | headers)[0] == 403


def test_health_and_the_page_need_no_password(server: Server) -> None:
    assert send(server, "GET", "health", {})[0] == 200
    assert send(server, "GET", "/ui-settings", {})[0] == 200
    assert send(server, "GET", "/v2/", {})[0] == 200
