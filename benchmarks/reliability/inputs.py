"""Bad inputs: photos, masks, params.yaml, data/review.csv, and files of ours that somebody damaged."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from PIL import Image

from adrefine import params, review
from adrefine.cells import wild
from adrefine.errors import UserError
from adrefine.ingestion import decode
from adrefine.ingestion.damage import BadPhoto
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
    """params.yaml edited badly: understood as by DVC, which records it; or refused in a line, in seconds."""
    content, path = (ROOT / "params.yaml").read_bytes(), folder / "params.yaml"
    tally = Tally("params.yaml")
    for number in range(count):
        path.write_bytes(mutate.text(content, rng))
        tally.judge(lambda: _as_dvc_does(path), f"params {number}")
    return tally


def _as_dvc_does(path: Path) -> bool:
    from dvc.utils.serialize import load_yaml

    ours = params.load_whole(path)
    try:
        return ours == params.parse(load_yaml(str(path)))
    except Exception:
        return False


def _as_pandas_does(path: Path) -> bool:
    """Whether a reader that knows nothing of ours sees the same answers."""
    ours = {name: (answer.verdict, answer.note) for name, answer in review.read(path).items()}
    if not path.read_bytes().strip():
        return not ours
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except Exception:
        return False
    table.columns = table.columns.str.strip().str.lower()
    theirs: dict[str, tuple[str, str]] = {}
    for row in table.reindex(columns=["image_id", "verdict", "note"], fill_value="").itertuples():
        name, verdict, note = (str(cell).strip() for cell in row[1:])
        theirs[name] = (verdict.lower(), wild(note) or theirs.get(name, ("", ""))[1])
    return ours == theirs


def answers(count: int, rng: np.random.Generator, folder: Path) -> Tally:
    """data/review.csv edited badly: the answers that another reader finds, or refused in a line."""
    rows = [f"{number:016x},{'keep' if number % 2 else 'remove'},note {number}" for number in range(20)]
    content, path = "\n".join(["image_id,verdict,note", *rows, ""]).encode(), folder / "review.csv"
    tally = Tally("data/review.csv")
    for number in range(count):
        path.write_bytes(mutate.text(content, rng))
        tally.judge(lambda: _as_pandas_does(path), f"review {number}")
    return tally


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
        "JPEG 2000": [_file(colour, "JPEG2000"), _file(deep, "JPEG2000")],
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
