"""JPEGs that decoders read without a word though they are damaged, and good ones that must pass."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import simplejpeg
from PIL import Image

import trees
from adrefine.ingestion import decode, jpeg
from adrefine.ingestion.damage import BadPhoto
from adrefine.ingestion.decode import Decoded
from odd_files import encoded

_Y, _X = np.mgrid[:240, :320]
EXTREMES = {
    "photo": trees.pixels(3, 320, 240),
    "white": np.full((240, 320), 255, np.uint8),
    "black": np.zeros((240, 320), np.uint8),
    "chequered": np.where((_X // 8 + _Y // 8) % 2, 255, 0).astype(np.uint8),
    "stripes": np.where(_X % 3, 255, 0).astype(np.uint8),
    "edges": np.where((_X + _Y) % 37 > 18, 255, 0).astype(np.uint8),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_good_ones_pass_at_every_quality(name: str, mode: str) -> None:
    image = Image.fromarray(EXTREMES[name]).convert(mode)
    for quality in range(1, 101, 9):
        for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}):
            jpeg.check(encoded(image, "JPEG", quality=quality, **options))
    if mode == "RGB":
        jpeg.check(encoded(image, "JPEG", keep_rgb=True))
        jpeg.check(encoded(image, "JPEG", qtables=[[2] + [9] * 63, [255] * 64]))


def test_broken_data_that_libjpeg_only_warns_of() -> None:
    whole = encoded(Image.fromarray(EXTREMES["photo"]), "JPEG", quality=90)
    assert isinstance(decode.read(whole, 1), Decoded)
    draw = np.random.default_rng(0)
    broken = []
    for _ in range(60):
        data = bytearray(whole)
        data[draw.integers(700, len(data) - 2)] ^= int(draw.integers(1, 255))
        try:
            simplejpeg.decode_jpeg(bytes(data), colorspace="GRAY", strict=True)
        except ValueError as error:
            if str(error).startswith("Corrupt JPEG data"):
                broken.append(bytes(data))
    assert len(broken) > 10
    for data in broken:
        assert np.asarray(Image.open(BytesIO(data))).shape == (240, 320)  # Pillow sees nothing
        with pytest.raises(BadPhoto, match="damaged"):
            decode.photo(data, 1)


def test_blocks_brighter_than_white() -> None:
    """Damage that no decoder tells moves all blocks behind it."""
    whole = encoded(Image.fromarray(trees.pixels(3, 640, 480)), "JPEG", quality=90)
    draw, told, moved = np.random.default_rng(1), 0, 0
    before = np.asarray(Image.open(BytesIO(whole))).astype(int)
    for _ in range(400):
        data = bytearray(whole)
        data[draw.integers(700, len(data) // 2)] ^= 1 << int(draw.integers(0, 8))
        try:
            simplejpeg.decode_jpeg(bytes(data), strict=True)
        except ValueError:
            continue
        after = np.asarray(Image.open(BytesIO(data))).astype(int)
        if (abs(after - before) > 12).mean() <= 0.05:
            continue
        moved += 1
        told += _refused(bytes(data), "brighter than white or darker than black")
    assert moved > 10
    assert told > moved / 3


def test_a_header_that_is_cut_off_says_nothing() -> None:
    whole = encoded(Image.fromarray(EXTREMES["photo"]), "JPEG")
    for end in range(0, 700, 7):
        _refused(whole[:end], "damaged or truncated")


def _refused(data: bytes, words: str) -> bool:
    """Whether it is, with these words."""
    try:
        jpeg.check(data)
    except BadPhoto as error:
        return words in str(error) or pytest.fail(str(error))
    return False
