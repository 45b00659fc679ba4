"""A photo that this machine cannot hold says nothing of the photo; one that would take minutes is refused."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine.datasets.formats import FORMATS, make_ready
from adrefine.ingestion import damage, decode, worker
from adrefine.ingestion.damage import BadPhoto, OutOfMemory
from adrefine.ingestion.worker import Job, WorkerSettings
from odd_files import encoded

GREY = Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64))


def settings(folder: Path) -> WorkerSettings:
    return WorkerSettings(folder, folder / "cache", 32, "stretch", 100)


@pytest.mark.parametrize(
    "said",
    [
        MemoryError(),
        OSError("out of memory error when reading image file"),
        ValueError("Insufficient memory (case 4)"),
        RuntimeError("Unable to allocate 1.2 GiB"),
    ],
)
def test_out_of_memory_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Exception
) -> None:
    """In the words of Pillow, libjpeg and NumPy; the memory is in fact not there."""
    (tmp_path / "good.png").write_bytes(encoded(GREY))

    def fail(*_: object, **__: object) -> None:
        raise said

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    monkeypatch.setattr(damage.np, "empty", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(OutOfMemory, match=r"^good\.png: not enough memory to read it"):
        worker.process(settings(tmp_path), Job(0, "good.png", ""))


def test_a_file_that_asks_for_more_than_its_pixels_need_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "PIL.PngImagePlugin.PngImageFile.load", lambda *_: (_ for _ in ()).throw(MemoryError())
    )
    with pytest.raises(BadPhoto, match="it asks for more memory than its pixels need"):
        decode.read(encoded(GREY), 100)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_good_photo_under_a_limit_is_not_set_aside(tmp_path: Path, kind: str) -> None:
    """36 megapixels where 100 MB are left: one line, no quarantine."""
    Image.new("RGBA", (6000, 6000), (9, 9, 9, 200)).save(tmp_path / "large.img", kind)
    code = (
        "import sys; from pathlib import Path; from adrefine.ingestion import worker\n"
        "from adrefine.errors import exit_cleanly; import resource, tifffile\n"
        "import psutil; limit = psutil.Process().memory_info().vms + 100 * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "place = Path(sys.argv[1])\n"
        "settings = worker.WorkerSettings(place, place / 'cache', 32, 'stretch', 100)\n"
        "exit_cleanly(lambda: worker.process(settings, worker.Job(0, 'large.img', '')) and None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("adrefine: error: large.img: not enough memory ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["WEBP", "JPEG2000", "JPEG", "HEIF", "PNG", "TIFF"])
def test_no_decoder_calls_lacking_memory_damage(tmp_path: Path, kind: str) -> None:
    """Four megapixels where 8 to 80 MB are left: decoders say "broken data stream", "failed to read next
    frame" or "opj_decode failed" of a good photo. It is read, or one line says that memory was lacking."""
    if kind not in FORMATS:
        pytest.skip("without the extra heic")
    make_ready()
    rows = np.arange(2000, dtype=np.uint8)
    grey = Image.fromarray(np.add.outer(rows, rows)).convert("RGB")
    grey.save(tmp_path / "photo", kind, **({"progressive": True} if kind == "JPEG" else {}))
    code = (
        "import sys, resource, psutil, tifffile; from adrefine.ingestion import decode\n"
        "from adrefine.ingestion.damage import BadPhoto, OutOfMemory\n"
        "decode.make_ready(); data = open(sys.argv[1], 'rb').read()\n"
        "left = psutil.Process().memory_info().vms + int(sys.argv[2]) * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (left, left))\n"
        "try: print('read', decode.read(data, 100).width)\n"
        "except OutOfMemory as error: print(error)"
    )
    for left in ("8", "24", "80"):
        command = [sys.executable, "-c", code, str(tmp_path / "photo"), left]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.startswith(("read 2000", "not enough memory ")), done.stderr


def test_what_is_damaged_stays_so_where_there_is_memory() -> None:
    whole = encoded(GREY, "WEBP")
    for data in (whole[:30], b"RIFF", whole[:12] + bytes(40), b"\0\0\0\x18ftypheic" + bytes(9)):
        with pytest.raises(BadPhoto):
            decode.read(data, 100)


def test_transparency_over_black_a_few_rows_at_a_time_is_the_same() -> None:
    rng = np.random.default_rng(0)
    clear = Image.fromarray(rng.integers(0, 256, (700, 9, 4), dtype=np.uint8))
    whole = Image.alpha_composite(Image.new("RGBA", clear.size, (0, 0, 0, 255)), clear).convert("RGB")
    found = decode.photo(encoded(clear), 100).image
    assert np.array_equal(np.asarray(found), np.asarray(whole))


def test_a_large_photo_takes_a_bounded_memory(tmp_path: Path) -> None:
    """36 megapixels with transparency in a file of 150 kB took nearly a gigabyte."""
    Image.new("RGBA", (6000, 6000), (9, 9, 9, 200)).save(tmp_path / "large.png")
    code = (
        "import sys; from pathlib import Path; from adrefine.ingestion import decode\n"
        "decode.photo(Path(sys.argv[1]).read_bytes(), 100)\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "large.png")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 600_000


def test_large_photos_wait_for_each_other(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with worker._gate(tmp_path) as gate:
            gate(6000, 6000)
            order.append("second")

    with worker._gate(tmp_path) as gate:
        gate(100, 100)
        gate(6000, 6000)
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_a_jpeg_of_endless_scans_is_refused_at_once() -> None:
    data = encoded(GREY, "JPEG", progressive=True)
    decode.photo(data, 100)
    scan = data.rindex(b"\xff\xda")
    bomb = data[:scan] + data[scan:-2] * 3000 + data[-2:]
    start = time.monotonic()
    with pytest.raises(BadPhoto, match=r"a progressive JPEG of 30\d\d scans"):
        decode.photo(bomb, 100)
    assert time.monotonic() - start < 1


def test_links_out_of_the_root_are_followed_where_the_setting_says_so(tmp_path: Path) -> None:
    (tmp_path / "farm").mkdir()
    (tmp_path / "photo.png").write_bytes(encoded(GREY))
    (tmp_path / "farm/link.png").symlink_to(tmp_path / "photo.png")
    strict = settings(tmp_path / "farm")
    refused = worker.process(strict, Job(0, "link.png", ""))
    assert "not followed, unless dataset.follow_links is true" in refused.problem
    loose = replace(strict, follow_links=True)
    assert worker.process(loose, Job(0, "link.png", "")).problem == ""
    for name in ("../photo.png", str(tmp_path / "photo.png")):  # as a list of files may say
        for chosen in (strict, loose):
            assert worker.process(chosen, Job(0, name, "")).problem == "outside dataset.root: not read"
