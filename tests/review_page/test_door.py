"""Who may come in, and what a page of another site cannot do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from fakes import MapStore
from review_page import page_process
from review_page.page_process import TOKEN, Page

HERE = "http://127.0.0.1:8321"
ANSWER = {"tab": "a1", "ids": ["im000"], "verdict": "remove"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_process.made(tmp_path_factory.mktemp("door"), MapStore(4), held=["im059"]) as page:
        yield page


@pytest.fixture
def client(page: Page) -> TestClient:
    return TestClient(page.door, base_url=HERE)


def test_the_token_opens_everything_and_nothing_is_open_without(client: TestClient) -> None:
    for path in ("", "static/page.js", "api/state", "picture/thumbnail/im003"):
        assert client.get(f"/{TOKEN}/{path}").status_code == 200, path
        for wrong in (f"/{path}", f"/{TOKEN[:-1]}/{path}", f"/x{TOKEN}/{path}", f"//{path}"):
            assert client.get(wrong).status_code == 403, wrong


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"host": "evil.test:8321"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_neither_answer_nor_run(
    client: TestClient, page: Page, headers: dict[str, str]
) -> None:
    for path in ("api/answer", "api/run", "api/stop", "api/undo"):
        assert client.post(f"/{TOKEN}/{path}", json=ANSWER, headers=headers).status_code == 403
    assert page.answers() == {}
    assert page.run.state == "none"


def test_its_own_page_may_and_a_link_in_a_message_opens_it(client: TestClient, page: Page) -> None:
    own = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert client.post(f"/{TOKEN}/api/answer", json=ANSWER, headers=own).json() == {"count": 1}
    assert page.answers() == {"im000": "remove"}
    client.post(f"/{TOKEN}/api/undo", json={"tab": "a1"}, headers=own)
    assert page.answers() == {}
    link = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert client.get(f"/{TOKEN}/", headers=link).status_code == 200
    assert client.post(f"/{TOKEN}/api/answer", json=ANSWER, headers=link).status_code == 403


def test_every_answer_forbids_scripts_of_others_frames_and_the_token_in_links(client: TestClient) -> None:
    for path in ("", "api/state", "static/page.js", "picture/photo/im001", "nowhere"):
        found = client.get(f"/{TOKEN}/{path}").headers
        assert "default-src 'none'; script-src 'self'" in found["content-security-policy"]
        assert "frame-ancestors 'none'" in found["content-security-policy"]
        assert found["referrer-policy"] == "no-referrer"
        assert found["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "static/../app.py",
        "static/%2e%2e/app.py",
        "static/page.html",
        "picture/photo/..%2f..%2fparams.yaml",
        "picture/secret/im001",
        "picture/native/%2e%2e",
        "docs",
        "openapi.json",
    ],
)
def test_no_path_leads_to_another_file(client: TestClient, path: str) -> None:
    assert client.get(f"/{TOKEN}/{path}").status_code in (404, 409, 422)


@pytest.mark.parametrize(
    "body",
    [
        {**ANSWER, "verdict": "delete"},
        {**ANSWER, "ids": []},
        {**ANSWER, "tab": "<b>"},
        {**ANSWER, "asked": "perhaps"},
        {**ANSWER, "note": "x" * 3000},
        {**ANSWER, "ids": ["im999"]},
        {**ANSWER, "ids": ["../../etc/passwd"]},
    ],
)
def test_an_answer_that_is_none_changes_nothing(
    client: TestClient, page: Page, body: dict[str, object]
) -> None:
    assert client.post(f"/{TOKEN}/api/answer", json=body).status_code in (409, 422)
    assert page.answers() == {}


def test_too_much_at_once_is_refused_unread(client: TestClient) -> None:
    assert client.post(f"/{TOKEN}/api/answer", content=b"x" * 2_000_000).status_code == 413


def test_photos_at_all_sizes_and_maps(client: TestClient) -> None:
    kinds = {
        kind: client.get(f"/{TOKEN}/picture/{kind}/im002") for kind in ("photo", "native", "thumbnail", "map")
    }
    assert {kind: found.status_code for kind, found in kinds.items()} == dict.fromkeys(kinds, 200)
    assert kinds["map"].content[:4] == b"\x89PNG"
    assert kinds["thumbnail"].content[:2] == b"\xff\xd8"
    assert kinds["map"].headers["cache-control"] == "no-store"
    assert "max-age" in kinds["thumbnail"].headers["cache-control"]
    assert client.get(f"/{TOKEN}/picture/map/im059").status_code == 404  # held out: no model learned it
