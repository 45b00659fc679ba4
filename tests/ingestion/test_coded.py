"""Files without check sums: what their bytes tell of pieces that were lost, and good ones that must pass."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import trees
from adrefine.datasets import formats
from adrefine.ingestion import coded, decode
from adrefine.ingestion.damage import BadPhoto
from odd_files import encoded, tiff

PHOTO = Image.fromarray(trees.pixels(3, 200, 160)).convert("RGB")
BLANK = Image.new("RGB", (1500, 1000), (255, 255, 255))
CORNER = Image.new("RGB", (1500, 1000))
CORNER.paste(PHOTO, (0, 0))
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "WebP": ("WEBP", {"quality": 80}),
    "WebP of little effort": ("WEBP", {"quality": 20, "method": 0}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "lossless WebP of no effort": ("WEBP", {"lossless": True, "quality": 0, "method": 0}),
    "JPEG 2000": ("JPEG2000", {}),
    "lossy JPEG 2000": ("JPEG2000", {"quality_layers": [80, 40, 20], "irreversible": True}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "image", [PHOTO, BLANK, CORNER, PHOTO.crop((0, 0, 9, 9))], ids=["photo", "blank", "corner", "small"]
)
def test_good_files_pass(kind: str, image: Image.Image) -> None:
    name, options = KINDS[kind]
    assert decode.photo(encoded(image, name, **options), 2).image.size == image.size


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_were_cut_short_and_filled_with_zeros(kind: str) -> None:
    name, options = KINDS[kind]
    data = encoded(PHOTO, name, **options)
    for share in np.linspace(0.3, 0.97, 12):
        kept = int(len(data) * share)
        with pytest.raises(BadPhoto):
            decode.photo(data[:kept] + bytes(len(data) - kept), 1)


def test_a_webp_with_metadata_and_transparency_passes() -> None:
    clear = PHOTO.copy()
    clear.putalpha(Image.fromarray(trees.pixels(4, 200, 160)))
    for quality in range(0, 100, 9):
        data = encoded(clear, "WEBP", quality=quality, exif=b"Exif\0\0" + bytes(200), icc_profile=bytes(300))
        assert decode.photo(data, 1).image.size == PHOTO.size


def test_most_damage_of_a_webp_is_told() -> None:
    data, rng, passed = encoded(PHOTO, "WEBP", quality=80), np.random.default_rng(0), 0
    whole = np.asarray(decode.photo(data, 1).image).astype(int)
    for _ in range(60):
        torn = bytearray(data)
        torn[int(rng.integers(60, len(data) // 2))] ^= int(rng.integers(1, 256))
        try:
            pixels = np.asarray(decode.photo(bytes(torn), 1).image).astype(int)
        except BadPhoto:
            continue
        passed += (abs(pixels - whole).max(axis=2) > 12).mean() > 0.05
    assert passed <= 8  # without a look at its end: 45


def test_strips_that_share_a_place() -> None:
    values = trees.pixels(3, 64, 48)
    data = encoded(Image.fromarray(values), "TIFF", tiffinfo={278: 16})
    assert np.array_equal(np.asarray(decode.photo(data, 1).image), values)
    starts = [int(one) for one in Image.open(BytesIO(data)).tag_v2[273]]
    assert len(starts) == 3
    torn = data.replace(starts[2].to_bytes(4, "little"), starts[0].to_bytes(4, "little"))
    with pytest.raises(BadPhoto, match="2 of its 3 strips or tiles share their place"):
        decode.photo(torn, 1)
    assert decode.photo(tiff(values), 1).image.size == (64, 48)


def test_a_fax_with_zeros() -> None:
    noise = Image.fromarray(np.random.default_rng(0).random((200, 200)) > 0.5)
    data = encoded(noise, "TIFF", compression="group4")
    assert decode.photo(data, 1).image.size == (200, 200)
    middle = len(data) // 2
    with pytest.raises(BadPhoto, match="bytes of its data are zeros"):
        decode.photo(data[:middle] + bytes(100) + data[middle + 100 :], 1)


def test_other_lengths_than_the_header_says() -> None:
    for name in ("WEBP", "BMP"):
        data = encoded(PHOTO, name)
        coded.check(data, name)
        for torn in (data[:-9], data + bytes(9), data[:500] + data[510:]):
            with pytest.raises(BadPhoto, match="its header says"):
                coded.check(torn, name)


def test_the_size_that_a_webp_or_heif_says() -> None:
    photo = Image.new("RGB", (123, 45), (9, 99, 200))
    clear = encoded(photo.convert("RGBA"), "WEBP")
    for data in (encoded(photo, "WEBP"), encoded(photo, "WEBP", lossless=True), clear):
        assert coded.pixels(data) == 123 * 45
    if "HEIF" in formats.FORMATS:
        formats.make_ready()
        assert 123 * 45 <= coded.pixels(encoded(photo, "HEIF")) <= 192 * 128  # whole blocks of 64
    assert coded.pixels(encoded(photo)) == coded.pixels(b"") == coded.pixels(b"RIFF") == 0
