"""Who may ask the model's server, and what a page in a browser on the same machine cannot do."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import chromium
from adrefine.errors import UserError
from adrefine.model_server.serve import Options
from model_server import model_process
from model_server.model_process import HERE, TOKEN
from prediction.made import made

PHOTO = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(model_process.behind(made("padim").bundle, names=("line3",)), base_url=HERE)


@pytest.fixture(scope="module")
def locked() -> TestClient:
    return TestClient(model_process.behind(made("padim").bundle, token=TOKEN), base_url=HERE)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"host": "evil.test:8321"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": HERE},
        {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-origin"},
    ],
)
def test_no_page_gets_in(client: TestClient, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/predict"), ("GET", "/model"), ("GET", "/metrics"), ("GET", "/healthz")):
        assert client.request(method, path, headers=PHOTO | headers, content=b"x").status_code == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8321", "localhost:8321", "[::1]:8321", "10.0.0.7:8321", "line3", "LINE3:80"]
)
def test_a_program_gets_in_by_every_name_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get("/model", headers={"host": host}).status_code == 200


def test_a_person_may_type_the_address(client: TestClient) -> None:
    assert client.get("/model", headers={"sec-fetch-site": "none"}).status_code == 200


@pytest.mark.parametrize(
    "given", ["", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer é", TOKEN]
)
def test_without_the_token_nothing_is_told_but_that_it_lives(locked: TestClient, given: str) -> None:
    headers = PHOTO | ({"authorization": given.encode("latin-1")} if given else {})  # type: ignore[dict-item]
    for method, path in (("POST", "/predict"), ("GET", "/model"), ("GET", "/metrics"), ("GET", "/healthz/")):
        found = locked.request(method, path, headers=headers, content=b"x")
        assert found.status_code == 401
        assert TOKEN not in found.text
    assert locked.get("/healthz", headers=headers).json() == {"status": "ok"}


def test_the_token_opens_all(locked: TestClient) -> None:
    for path in ("/model", "/metrics"):
        assert locked.get(path, headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_two_tokens_are_none(locked: TestClient) -> None:
    twice = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other")]
    assert locked.get("/model", headers=twice).status_code == 401


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"host": "0.0.0.0"}, "--host 0.0.0.0 lets other machines in: give --token"),
        ({"host": "::"}, "lets other machines in"),
        ({"host": "line3"}, "lets other machines in"),
        ({"token": "short"}, "at least 16 ASCII"),
        ({"token": "a token of many words"}, "without a space"),
        ({"max_megabytes": 0}, "--max-megabytes 0"),
        ({"max_megapixels": float("nan")}, "--max-megapixels nan"),
        ({"threads": -1}, "--threads -1"),
    ],
)
def test_what_would_leave_it_open_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Options(**options).check()
    Options(host="0.0.0.0", token=TOKEN).check()


def test_every_answer_forbids_frames_scripts_and_keeping(client: TestClient) -> None:
    for path in ("/model", "/healthz", "/nowhere"):
        found = client.get(path).headers
        assert found["content-security-policy"].startswith("default-src 'none'")
        assert found["x-content-type-options"] == "nosniff"
        assert found["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in found


_ATTACK = """async (address) => {
    const form = new FormData();
    form.append("photo", new Blob(["x"], { type: "image/png" }), "a.png");
    const tries = [
        () => fetch(address + "/predict", { method: "POST", body: form, mode: "no-cors" }),
        () => fetch(address + "/predict", { method: "POST", body: new Blob(["x"]), mode: "no-cors" }),
        () => fetch(address + "/model").then((found) => found.text()),
        () => new Promise((done, fail) => {
            const image = new Image();
            image.onload = done; image.onerror = fail; image.src = address + "/metrics";
        }),
    ];
    const text = (found) => typeof found === "string" ? found : "";
    return Promise.all(tries.map((one) => one().then(text, () => "")));
}"""


def test_a_page_in_chromium_changes_and_learns_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>evil</title>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    evil = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    told: list[tuple[str, int]] = []
    gate = model_process.behind(made("padim").bundle)
    gate.told = lambda path, code: told.append((path, code))
    with model_process.served(gate) as address, chromium.started() as browser:
        page = browser.new_page()
        page.goto(f"http://localhost:{evil.server_port}/")
        assert page.evaluate(_ATTACK, address) == ["", "", "", ""]
        page.close()
    evil.shutdown()
    assert sorted(told) == [("/metrics", 403), ("/model", 403), ("/predict", 403), ("/predict", 403)]
