"""Files that the product wrote, damaged since: what is read of them now, and what it should be."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from adrefine import io as files
from adrefine import manifest
from adrefine.backbones import engine
from adrefine.bundle import contents as bundles
from adrefine.cells import wild
from adrefine.dvc_driver import lockfile
from adrefine.features.store import VectorCache, open_store, write_store
from adrefine.ingestion import cache
from adrefine.runtime import opened
from adrefine.serving import intake, password, versions
from benchmarks.reliability import mutate
from benchmarks.reliability.tally import Tally

_AGAIN = None  # what a reader says of a file that is to be made anew
_SHAPE = (1, 4)


@dataclass(frozen=True)
class Own:
    """A file, what reads it, and what should come of it once it is damaged.

    Attributes:
        strict: what another, strict reader says of these bytes; without it the file must be read as it was,
            or not at all.
    """

    path: Path
    read: Callable[[], object]
    strict: Callable[[bytes], object] | None = None


def all_of(count: int, rng: np.random.Generator, folder: Path) -> Iterator[Tally]:
    """Text, and caches and models that have check sums; then arrays: of these DVC knows the hash, our reader
    the shape alone."""
    yield _tried("our own files: text, caches, bundles", _readers(folder), count, rng, folder)
    arrays = [Own(_store(folder) / "features.npy", partial(_vectors, folder))]
    yield _tried("our own files: arrays that DVC hashes", arrays, count // 10 or 1, rng, folder)


def _tried(kind: str, owned: list[Own], count: int, rng: np.random.Generator, folder: Path) -> Tally:
    tally, before = Tally(kind), {own.path: own.read() for own in owned}
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for number in range(count):
        own = owned[number % len(owned)]
        bad = mutate.damaged(whole[own.path], rng) if number % 5 else b""
        _put(own.path, bad)
        tally.judge(
            lambda own=own, bad=bad: _is_right(own, bad, before[own.path]),
            f"{own.path.name} {number}: {bad!r:.200}",
        )
        for path, content in whole.items():
            if not path.exists() or path.read_bytes() != content:
                _put(path, content)
    return tally


def _put(path: Path, content: bytes) -> None:
    """As another file of that name: the one before may be open."""
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(content)
    opened._made.cache_clear()


def _is_right(own: Own, bad: bytes, before: object) -> bool:
    found = own.read()
    if found in (before, _AGAIN):
        return True
    try:
        return own.strict is not None and found == own.strict(bad)
    except Exception:  # the other reader refuses what ours took
        return False


def _readers(folder: Path) -> list[Own]:
    """Files of the kinds that the product keeps and reads again."""
    return [*_tables(folder), *_promoted(folder), *_caches(folder), *_project(folder), *_bundle(folder)]


def _tables(folder: Path) -> Iterator[Own]:
    path = folder / "manifest.csv"
    made = {"image_id": ["a1", "b2"], "path": ["p", "q"], "source": ["x", "=y"], "score": [1.5, 2.25]}
    manifest.write(path, pd.DataFrame(made))
    yield Own(path, lambda: _plain(manifest.read(path)), _csv)
    timing = folder / "timing.json"
    files.write_json(timing, {"train": {"seconds": 1}})
    yield Own(timing, lambda: files.timings(timing) or _AGAIN, json.loads)
    reasons = folder / "reasons.csv"
    reasons.write_text("file,reason\na,b\nc,d\n")
    yield Own(reasons, lambda: intake._read_reasons(reasons) or _AGAIN, _pairs)
    store = _store(folder)
    yield Own(store / "meta.json", lambda: open_store(store).meta, json.loads)
    yield Own(store / "index.csv", lambda: open_store(store).ids, lambda bad: _csv(bad)["image_id"])


def _promoted(folder: Path) -> Iterator[Own]:
    promoted = folder / "promoted"
    (promoted / "0001").mkdir(parents=True)
    decision, scores = promoted / "0001/promotion.json", promoted / "0001/held_out.csv"
    files.write_json(decision, {"best": "0001", "inputs": "i", "candidate": "c"})
    files.write_csv(scores, pd.DataFrame({"image_id": ["a"], "score": [1.5], "likelihood": [0.25]}))
    files.point(promoted / "current", "0001")
    line = dict.fromkeys(versions.HISTORY_COLUMNS, "x")
    files.write_csv(promoted / "history.csv", pd.DataFrame([line, line]))
    yield Own(decision, lambda: versions.decision(promoted, "0001"), json.loads)
    yield Own(scores, lambda: _plain(versions.best(promoted).scores), _csv)  # type: ignore[union-attr]
    yield Own(promoted / "history.csv", lambda: _columns(versions.history(promoted)), _csv)


def _caches(folder: Path) -> Iterator[Own]:
    VectorCache(folder / "cache", "c", _SHAPE).put([("a", np.ones(_SHAPE)), ("b", np.zeros(_SHAPE))])
    yield Own(VectorCache(folder / "cache", "c", _SHAPE).path, lambda: _cached(folder))
    image, levels = folder / "cache/photo.png", folder / "cache/levels.json"
    cache.store(image, b"png" * 40, {"width": 1, "levels": 12})
    cache.seal(levels, {"low": 0, "high": 4095})
    yield Own(image, lambda: cache.read(image))
    yield Own(image.with_suffix(".json"), lambda: cache.read(image))
    yield Own(levels, lambda: _or_again(lambda: cache.unsealed(levels)))
    net = folder / "engine"
    net.mkdir()
    (net / "net.bin").write_bytes(bytes(range(256)))
    files.write_json(net / "sums.json", engine._sums(net))
    for name in ("net.bin", "sums.json"):
        yield Own(net / name, lambda: engine._is_whole(net) or _AGAIN)


def _project(folder: Path) -> Iterator[Own]:
    (folder / ".dvc/tmp").mkdir(parents=True)
    (folder / ".dvc/config").touch()
    (folder / "dvc.yaml").write_text("stages:\n  a:\n    cmd: b\n  c:\n    cmd: d\n")
    lock = folder / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages:\n  a:\n    cmd: b\n  c:\n    cmd: d\n")
    lockfile.keep(folder)
    yield Own(lock, lambda: _mended(folder), _as_dvc_reads)
    home = folder / "prefect"
    password.credentials(home)
    yield Own(home / password.NAME, lambda: password.credentials(home), lambda bad: bad.decode().strip())


def _bundle(folder: Path) -> Iterator[Own]:
    place = folder / "bundle"
    (place / "model").mkdir(parents=True)
    (place / "model/state.pt").write_bytes(bytes(range(256)))
    digests = {"model/state.pt": files.sha256_file(place / "model/state.pt")}
    threshold = {"value": 1.5, "target_fpr": 0.01, "photos": 9, "parts": 9, "unlabelled": 0, "kept": False}
    made = bundles.Contents(
        adrefine="1",
        detector="padim",
        section={"shrinkage": 0.1},
        alpha=0.5,
        threshold=bundles.Threshold(**threshold),
        map=bundles.MapScale(of="places", limit=2.0, photos=9),
        preparation={"size": 64},
        seen={"photos": 9},
        runtime={},
        inputs=["places"],
        shown=[],
        backbones={},
        dataset={"name": "d"},
        metrics={"auroc": 0.9},
        files=digests,
    )
    files.write_json(place / bundles.FILE, made.model_dump())
    strict = partial(_validated, place)
    yield Own(place / bundles.FILE, lambda: bundles.check(place).model_dump(), strict)
    yield Own(place / "model/state.pt", lambda: bundles.check(place).model_dump())


def _validated(place: Path, bad: bytes) -> dict[str, Any]:
    """bundle.json is text and as it now stands; every other file must be the one that it names."""
    made = bundles.Contents.model_validate(json.loads(bad))
    assert all(files.sha256_file(place / name) == digest for name, digest in made.files.items())
    return made.model_dump()


def _store(folder: Path) -> Path:
    write_store(folder / "store", ["a", "b"], [np.ones(_SHAPE, np.float16)] * 2, _SHAPE, {"k": 1})
    return folder / "store"


def _vectors(folder: Path) -> list[Any]:
    found: list[Any] = open_store(folder / "store").vectors(["a", "b"]).tolist()
    return found


def _cached(folder: Path) -> object:
    known = VectorCache(folder / "cache", "c", _SHAPE)
    if known.missing(["a", "b"]):
        return _AGAIN
    return [vector.tolist() for vector in VectorCache(folder / "cache", "c", _SHAPE).stream(["a", "b"])]


def _or_again(read: Callable[[], object]) -> object:
    try:
        return read()
    except files.Damaged:  # as ingest takes it
        return _AGAIN


def _mended(folder: Path) -> object:
    lockfile.mend(folder)
    return _as_dvc_reads((folder / "dvc.lock").read_bytes())


def _as_dvc_reads(bad: bytes) -> object:
    from dvc.utils.serialize import parse_yaml

    return parse_yaml(bad.decode(), "dvc.lock")


def _csv(bad: bytes) -> dict[str, list[object]]:
    """Columns of a table, cells as numbers where they are some; strictly."""
    header, *rows = list(csv.reader(io.StringIO(bad.decode(), newline=""), strict=True))
    assert len(set(header)) == len(header)
    cells = [row + [""] * (len(header) - len(row)) for row in rows if row]
    assert all(len(row) == len(header) for row in cells)
    return {name: [_cell(wild(row[n])) for row in cells] for n, name in enumerate(header)}


def _pairs(bad: bytes) -> dict[str, str]:
    rows = list(csv.reader(io.StringIO(bad.decode(), newline=""), strict=True))
    return {wild(row[0]): wild(row[1]) for row in rows[1:] if row}


def _plain(table: pd.DataFrame) -> dict[str, list[object]]:
    return {str(name): [_cell(cell) for cell in table[name]] for name in table.columns}


def _columns(lines: list[dict[str, str]]) -> dict[str, list[object]]:
    return {name: [_cell(line[name]) for line in lines] for name in lines[0]} if lines else {}


def _cell(value: object) -> object:
    """A number where it is one; what is empty or not a number is ''."""
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    return number if number == number else ""
