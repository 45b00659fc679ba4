"""The model's server: scores of `predict`, limits, bad requests, another bundle, many at once."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from adrefine import load_model
from adrefine.bundle import contents
from adrefine.ingestion.damage import OutOfMemory
from adrefine.io import read_json, sha256_file, write_json
from adrefine.model_server import desk, upload
from model_server import model_process
from model_server.model_process import HERE
from prediction.made import made

PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(model_process.behind(made("padim").bundle), base_url=HERE)


@pytest.fixture(scope="module")
def photos() -> list[Path]:
    return sorted(made("padim").photos.values())


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header announces that many pixels, over a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def metric(client: TestClient, name: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[1]) if lines else 0.0


def test_scores_are_those_of_predict_to_the_bit(client: TestClient, photos: list[Path]) -> None:
    bundle = made("padim").bundle
    model = load_model(bundle)
    for path in photos[-3:]:
        expected = {**model.predict(path).as_json(), "milliseconds": 0}
        raw = client.post("/predict", content=path.read_bytes(), headers=PNG).json()
        form = client.post("/predict", files={"photo": path.read_bytes()}).json()
        for found in (raw, form):
            assert found.pop("model") == {
                "name": "bundle",
                "sha256": sha256_file(bundle / contents.FILE)[:16],
            }
            assert {**found, "milliseconds": 0} == expected


def test_map_is_a_picture_with_the_result_beside_it(client: TestClient, photos: list[Path]) -> None:
    found = client.post("/predict?map=png", content=photos[-1].read_bytes(), headers=PNG)
    assert found.headers["content-type"] == "image/png"
    assert Image.open(BytesIO(found.content)).size == (160, 128)
    told = json.loads(found.headers["adrefine-result"])
    plain = client.post("/predict", content=photos[-1].read_bytes(), headers=PNG).json()
    assert (told["score"], told["top_place"]) == (plain["score"], plain["top_place"])
    without = client.post("/predict?map=none", content=photos[-1].read_bytes(), headers=PNG).json()
    assert (without["score"], without["top_place"]) == (plain["score"], None)


@pytest.mark.parametrize(
    ("content", "kind", "code", "reason"),
    [
        (b"", "image/png", 422, "0 bytes"),
        (b"no photo", "image/png", 422, "the photo: "),
        (b"%!PS-Adobe", "application/octet-stream", 422, "the photo: "),
        (bomb(50_000, 50_000), "image/png", 422, "more than 16 megapixels, --max-megapixels"),
        (bomb(5000, 3000), "image/png", 422, "the photo: "),
        (b"{}", "application/json", 415, "a photo is needed, this is 'application/json'"),
        (b"x", "application/x-www-form-urlencoded", 415, "curl -F photo=@new.png"),
        (b"x", "multipart/form-data", 400, "boundary"),
        (b"x", "multipart/form-data; boundary=a", 400, ""),
        (b"--a\r\n\r\n", "multipart/form-data; boundary=a", 400, ""),
        (b'--a\r\ncontent-disposition: form-data; name="photo"\r\n\r\nnew.png\r\n--a--\r\n',
         "multipart/form-data; boundary=a", 400, "curl wants @"),
        (b'--a\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\nx\r\n--a--\r\n',
         "multipart/form-data; boundary=a", 400, "no file in the field `photo`"),
        (b'--a\r\ncontent-disposition: form-data; name="photo"; filename="../../x"\r\n\r\n\r\n--a--\r\n',
         "multipart/form-data; boundary=a", 422, "0 bytes"),
    ],
)  # fmt: skip
def test_a_bad_request_is_told_and_ends_nothing(
    client: TestClient, photos: list[Path], content: bytes, kind: str, code: int, reason: str
) -> None:
    found = client.post("/predict", content=content, headers={"content-type": kind})
    assert (found.status_code, list(found.json())) == (code, ["error"])
    assert reason in found.json()["error"]
    good = client.post("/predict", content=photos[0].read_bytes(), headers=PNG)
    assert good.status_code == 200


def test_a_photo_that_was_cut_at_any_place(client: TestClient, photos: list[Path]) -> None:
    for path in photos[:2]:  # a JPEG and a PNG
        data = path.read_bytes()
        for end in range(1, len(data) - 8, max(1, len(data) // 12)):
            assert client.post("/predict", content=data[:end], headers=PNG).status_code == 422


def test_many_parts_and_unknown_words_are_refused(client: TestClient) -> None:
    part = b'--a\r\ncontent-disposition: form-data; name="photo"; filename="a"\r\n\r\nx\r\n'
    head = {"content-type": "multipart/form-data; boundary=a"}
    assert client.post("/predict", content=part * 5000 + b"--a--\r\n", headers=head).status_code == 400
    assert client.post("/predict?map=jpg", content=b"x", headers=PNG).json() == {
        "error": "`map` is png or none"
    }
    assert client.get("/predict").status_code == 405
    assert client.get("/docs").status_code == client.get("/../etc/passwd").status_code == 404


def test_too_many_bytes_are_refused_with_and_without_a_length(photos: list[Path]) -> None:
    gate = model_process.behind(made("padim").bundle, max_megabytes=0.1)
    with model_process.served(gate) as address, httpx.Client(base_url=address, headers=PNG) as client:
        assert client.post("/predict", content=bytes(200_000)).status_code == 413
        pieces = client.post("/predict", content=(bytes(50_000) for _ in range(4)))
        assert (pieces.status_code, pieces.json()["error"][:16]) == (413, "more than 0.1 MB")
        assert client.post("/predict", content=photos[0].read_bytes()).status_code == 200


def test_a_client_that_leaves_or_never_ends(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SECONDS", 0.3)
    head = (
        "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n"
    )
    gate = model_process.behind(made("padim").bundle)
    with model_process.served(gate) as address:
        place = urlsplit(address)
        data = photos[0].read_bytes()
        for length, sent in ((1000, b"x" * 10), (len(data), data)):  # within the photo; before the answer
            with socket.create_connection((place.hostname, place.port)) as client:
                client.sendall(head.format(length).encode() + sent)
        with socket.create_connection((place.hostname, place.port)) as slow:
            slow.sendall(head.format(1000).encode() + b"x")
            slow.settimeout(10)
            assert b" 408 " in slow.recv(1000).split(b"\r\n")[0]
        found = httpx.post(f"{address}/predict", content=data, headers=PNG)
        assert found.status_code == 200
        end = time.monotonic() + 10  # whoever left holds no place
        while gauge(address) and time.monotonic() < end:
            time.sleep(0.05)
        assert gauge(address) == 0


def gauge(address: str) -> float:
    text = httpx.get(f"{address}/metrics").text
    return float(text.split("\nadrefine_requests_under_way ")[1].split()[0])


def test_many_at_once_get_what_one_gets_and_too_many_are_told(photos: list[Path]) -> None:
    model = load_model(made("padim").bundle)
    alone = [model.predict(path).score for path in photos[:8]]
    gate = model_process.behind(made("padim").bundle, threads=2)
    with model_process.served(gate) as address, httpx.Client(base_url=address, headers=PNG) as client:

        def score(number: int) -> httpx.Response:
            return client.post("/predict", content=photos[number % 8].read_bytes())

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(score, range(32)))
        assert [one.json()["score"] for one in found] == alone * 4
        with ThreadPoolExecutor(60) as pool:
            crowd = list(pool.map(score, range(120)))
        assert {one.status_code for one in crowd} <= {200, 503}
        assert all(
            one.json()["score"] == alone[n % 8] for n, one in enumerate(crowd) if one.status_code == 200
        )


def test_no_more_than_the_places_wait(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "WAITING", -1)
    found = client.post("/predict", content=b"x", headers=PNG)
    assert (found.status_code, found.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("error", "code"), [(RuntimeError("a fault of ours"), 500), (MemoryError(), 503), (OutOfMemory("x"), 503)]
)
def test_a_fault_of_ours_is_one_answer(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    gate = model_process.behind(made("padim").bundle)
    client = TestClient(gate, base_url=HERE, raise_server_exceptions=False)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(desk, "ready", fail)
        found = client.post("/predict", content=b"x", headers=PNG)
    assert (found.status_code, list(found.json())) == (code, ["error"])
    assert "ours" not in found.text
    assert client.post("/predict", content=photos[0].read_bytes(), headers=PNG).status_code == 200
    assert metric(client, "adrefine_requests_under_way") == 0


def copy(bundle: Path, to: Path, threshold: float) -> Path:
    """The bundle with another threshold, as a later run would write it."""
    shutil.copytree(bundle, to)
    said = read_json(to / contents.FILE)
    said["threshold"]["value"] = threshold
    write_json(to / contents.FILE, said)
    return to


def test_another_bundle_is_used_from_the_next_photo_on(
    tmp_path: Path, photos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first = copy(made("padim").bundle, tmp_path / "0001", 100.0)
    copy(first, tmp_path / "0002", 200.0)
    link = tmp_path / "current"
    link.symlink_to(first.name)
    client = TestClient(model_process.behind(link), base_url=HERE)

    def now() -> tuple[str, float]:
        said = client.post("/predict", content=photos[0].read_bytes(), headers=PNG).json()
        return said["model"]["name"], said["threshold"]

    def point(name: str) -> None:
        (tmp_path / "new").symlink_to(name)
        os.replace(tmp_path / "new", link)

    assert now() == ("0001", 100.0)
    point("0002")
    assert now() == ("0002", 200.0)
    for broken in (tmp_path / "nowhere", copy(first, tmp_path / "0003", 3.0)):
        if broken.exists():
            next((broken / contents.MODEL).iterdir()).write_bytes(b"half")
        point(broken.name)
        assert now() == ("0002", 200.0)
        assert client.get("/healthz").status_code == 200
    assert "was changed or damaged" in client.get("/model").json()["problem"]
    assert "the model stays 0002" in capsys.readouterr().err
    point("0001")
    assert now() == ("0001", 100.0)
    assert client.get("/model").json()["problem"] == ""
    assert metric(client, "adrefine_model_loads") == 3
    assert metric(client, "adrefine_model_load_failures") == 1


def test_metrics_count_answers_verdicts_and_seconds(client: TestClient, photos: list[Path]) -> None:
    names = [
        'adrefine_verdicts_total{verdict="unreadable"}',
        'adrefine_requests_total{code="422",path="/predict"}',
        'adrefine_requests_total{code="404",path="other"}',
        "adrefine_prediction_seconds_count",
        "adrefine_request_seconds_count",
    ]
    before = [metric(client, name) for name in names]
    verdicts = [
        metric(client, f'adrefine_verdicts_total{{verdict="{one}"}}') for one in ("good", "defective")
    ]
    client.post("/predict", content=b"x", headers=PNG)
    client.get("/some/path/of/theirs")
    said = client.post("/predict", content=photos[0].read_bytes(), headers=PNG).json()
    after = [metric(client, name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 1, 1]
    assert metric(
        client, f'adrefine_verdicts_total{{verdict="{["good", "defective"][said["defective"]]}"}}'
    ) == (verdicts[said["defective"]] + 1)
    assert "theirs" not in client.get("/metrics").text


def test_model_says_what_it_is(client: TestClient) -> None:
    said = client.get("/model").json()
    assert (said["detector"], said["threshold"]["value"], said["max_megapixels"]) == ("padim", 1.5, 16)
    assert str(made("padim").bundle.parent) not in json.dumps(said)


def test_large_photos_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "LARGE", 100)
    client = TestClient(model_process.behind(made("padim").bundle, threads=4), base_url=HERE)
    values = np.random.default_rng(0).integers(0, 255, (128, 160), np.uint8)
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: client.post("/predict", content=file.getvalue(), headers=PNG), range(8))
        )
    assert {one.status_code for one in found} == {200}
    assert client.post("/predict", content=file.getvalue()[:200], headers=PNG).status_code == 422
    assert (
        client.post("/predict", content=file.getvalue(), headers=PNG).status_code == 200
    )  # the turn is free
