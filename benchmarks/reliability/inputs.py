"""Bad inputs: photos, masks, params.yaml, data/review.csv, and files of ours that somebody damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from PIL import Image

from adrefine import io, manifest, params, review
from adrefine.dvc_driver import lockfile
from adrefine.errors import UserError
from adrefine.features.store import VectorCache, open_store, write_store
from adrefine.ingestion import cache, decode
from adrefine.ingestion.damage import BadPhoto
from adrefine.serving import intake, versions
from benchmarks.reliability import mutate
from benchmarks.reliability.tally import Tally

ROOT = Path(__file__).parents[2]
SIDE = 64
SEEN = 12  # grey levels: less is not seen, and is what decoders differ by
SHARE = 0.05  # of the pixels that may be wrong unnoticed


def photos(count: int, rng: np.random.Generator) -> Iterator[Tally]:
    """Damaged photos in formats that files can tell damage by, and in those that have no check sums."""
    for kind, files in _formats(rng).items():
        tally = Tally(f"photos, {kind}")
        for number in range(count):
            data = files[number % len(files)]
            bad = mutate.damaged(data, rng)
            tally.judge(lambda data=data, bad=bad: _same_picture(data, bad), f"{kind} {number}")
        yield tally


def masks(count: int, rng: np.random.Generator) -> Tally:
    """Damaged masks."""
    drawn = np.zeros((SIDE, SIDE), dtype=np.uint8)
    drawn[10:30, 20:50] = 255
    data = _file(drawn, "PNG")
    whole = np.asarray(decode.mask(data, 10).image)
    tally = Tally("masks")
    for number in range(count):
        bad = mutate.damaged(data, rng)

        def act(bad: bytes = bad) -> bool:
            with _told():
                return bool((np.asarray(decode.mask(bad, 10).image) == whole).all())

        tally.judge(act, f"mask {number}")
    return tally


def settings(count: int, rng: np.random.Generator, folder: Path) -> Tally:
    """params.yaml edited badly: understood, or refused in a line that is printed within seconds."""
    content, path = (ROOT / "params.yaml").read_bytes(), folder / "params.yaml"
    tally = Tally("params.yaml")
    for number in range(count):
        path.write_bytes(mutate.text(content, rng))
        tally.judge(lambda: params.load_whole(path) is not None, f"params {number}")
    return tally


def answers(count: int, rng: np.random.Generator, folder: Path) -> Tally:
    """data/review.csv edited badly."""
    rows = [f"{number:016x},{'keep' if number % 2 else 'remove'},note {number}" for number in range(20)]
    content, path = "\n".join(["image_id,verdict,note", *rows, ""]).encode(), folder / "review.csv"
    tally = Tally("data/review.csv")
    for number in range(count):
        path.write_bytes(mutate.text(content, rng))
        tally.judge(lambda: isinstance(review.read(path), dict), f"review {number}")
    return tally


def own_files(count: int, rng: np.random.Generator, folder: Path) -> Tally:
    """Files that the product wrote, damaged since: rebuilt, or named in a line."""
    readers = _readers(folder)
    tally = Tally("our own files")
    whole = {path: path.read_bytes() for path in readers}
    for number in range(count):
        path = list(readers)[number % len(readers)]
        path.write_bytes(mutate.damaged(whole[path], rng) if number % 5 else b"")
        tally.judge(lambda path=path: _done(readers[path]), f"{path.name} {number}")
        shutil.rmtree(folder / "cache", ignore_errors=True)
        _readers(folder)
        path.write_bytes(whole[path])
    return tally


def _done(read: Callable[[], object]) -> bool:
    """What a damaged file of numbers says now, nobody can tell from what it said."""
    read()
    return True


def _readers(folder: Path) -> dict[Path, Callable[[], object]]:
    """Files of the kinds that the product keeps, each with what reads it."""
    table = pd.DataFrame(
        {"image_id": ["a1", "b2"], "path": ["p", "q"], "source": ["x", "=y"], "score": [1, 2]}
    )
    manifest.write(folder / "manifest.csv", table)
    io.write_json(folder / "timing.json", {"train": {"seconds": 1}})
    promoted = folder / "promoted"
    (promoted / "0001").mkdir(parents=True, exist_ok=True)
    io.write_json(promoted / "0001/promotion.json", {"best": "0001", "inputs": "i", "candidate": "c"})
    io.write_csv(
        promoted / "0001/held_out.csv", pd.DataFrame({"image_id": ["a"], "score": [1], "likelihood": 1})
    )
    if not (promoted / "current").is_symlink():
        io.point(promoted / "current", "0001")
    io.write_csv(promoted / "history.csv", pd.DataFrame([dict.fromkeys(versions.HISTORY_COLUMNS, "x")]))
    (folder / "reasons.csv").write_text("file,reason\na,b\n")
    (folder / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    (folder / "dvc.yaml").write_text("stages:\n  a:\n    cmd: b\n")
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages:\n  a:\n    cmd: b\n")
    (folder / ".dvc/config").touch()
    shape = (1, 4)
    store = folder / "store"
    write_store(store, ["a", "b"], [np.zeros(shape, np.float16)] * 2, shape, {"k": 1})
    known = VectorCache(folder / "cache", "c", shape)
    known.put([("a", np.zeros(shape))])
    image = folder / "cache/photo.png"
    cache.store(image, b"png", {"width": 1})

    def vectors() -> object:
        missing = VectorCache(folder / "cache", "c", shape).missing(["a"])
        return missing or list(VectorCache(folder / "cache", "c", shape).stream(["a"]))

    return {
        folder / "manifest.csv": lambda: manifest.read(folder / "manifest.csv"),
        folder / "timing.json": lambda: io.timings(folder / "timing.json"),
        promoted / "0001/promotion.json": lambda: versions.best(promoted),
        promoted / "0001/held_out.csv": lambda: versions.best(promoted),
        promoted / "history.csv": lambda: versions.history(promoted),
        folder / "reasons.csv": lambda: intake._read_reasons(folder / "reasons.csv"),
        folder / "dvc.lock": lambda: lockfile.mend(folder),
        store / "meta.json": lambda: open_store(store).vectors(["a"]),
        store / "index.csv": lambda: open_store(store).vectors(["a"]),
        store / "features.npy": lambda: open_store(store).vectors(["a"]),
        known.path: vectors,
        image.with_suffix(".json"): lambda: cache.read(image),
    }


class _told:
    """A BadPhoto is a refusal in a line."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, BadPhoto):
            raise UserError(str(error)) from None


def _same_picture(data: bytes, bad: bytes) -> bool:
    """Whether the damaged file comes out as the whole one did, but for a few pixels."""
    whole = np.asarray(decode.photo(data, 10).image.convert("RGB")).astype(int)
    with _told():
        pixels = np.asarray(decode.photo(bad, 10).image.convert("RGB")).astype(int)
    return pixels.shape == whole.shape and float((abs(pixels - whole).max(axis=2) > SEEN).mean()) <= SHARE


def _formats(rng: np.random.Generator) -> dict[str, list[bytes]]:
    """Photos of a textured part, by what protects their content."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    scene = 120 + 60 * np.sin(x / 5) + 40 * np.cos(y / 7) + rng.normal(0, 3, (SIDE, SIDE))
    grey = np.clip(scene, 1, 254).astype(np.uint8)
    colour = np.stack([grey, grey[::-1], grey.T], axis=2)
    deep = (grey.astype(np.uint16) << 4) + 5
    return {
        "PNG (check sums)": [_file(grey, "PNG"), _file(colour, "PNG"), _file(deep, "PNG")],
        "JPEG": [_file(colour, "JPEG", quality=90), _file(grey, "JPEG", quality=90, progressive=True)],
        "WebP": [_file(colour, "WEBP", quality=90), _file(colour, "WEBP", lossless=True)],
        "TIFF, compressed": [_tiff(deep, "zlib"), _file(colour, "TIFF", compression="tiff_lzw")],
        "no check sums (BMP, PGM, plain TIFF)": [
            *(_file(colour, "BMP"), _file(grey, "PPM"), _file(grey, "TIFF"), _tiff(deep, None)),
        ],
    }


def _file(values: npt.NDArray[np.generic], kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff(values: npt.NDArray[np.generic], compression: str | None) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, compression=compression)
    return buffer.getvalue()
