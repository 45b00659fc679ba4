"""Bytes to pixels: every colour mode, every damage, and photos and masks that stay in register."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import label

import trees
from adrefine.ingestion import decode, fitting
from adrefine.ingestion.decode import BadPhoto

GREY = trees.pixels(1)  # (32, 40)
COLOUR = np.stack([trees.pixels(seed) for seed in (1, 2, 3)], axis=2)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def values(data: bytes) -> np.ndarray:
    return np.asarray(decode.as_grey(decode.photo(data, 1).image))


def rgba(alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([COLOUR, alpha.astype(np.uint8)]))


def test_grey_colour_and_grey_stored_as_colour() -> None:
    assert np.array_equal(values(encoded(Image.fromarray(GREY))), GREY)
    assert np.array_equal(values(encoded(Image.fromarray(COLOUR))), COLOUR)
    assert np.array_equal(values(encoded(Image.fromarray(np.dstack([GREY] * 3)))), GREY)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG"])
def test_every_format(kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    found = values(encoded(Image.fromarray(GREY), kind, **options))
    assert np.abs(found.astype(int) - GREY).max() <= (10 if kind == "JPEG" else 0)


def test_transparency_is_laid_over_black() -> None:
    clear = np.zeros(GREY.shape)
    clear[:, :20] = 255
    expected = COLOUR.copy()
    expected[:, 20:] = 0
    assert np.array_equal(values(encoded(rgba(clear))), expected)
    with_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(clear.astype(np.uint8))])
    assert np.array_equal(values(encoded(with_alpha)), expected[..., 0])


def test_palettes_with_and_without_transparency() -> None:
    image = Image.fromarray((GREY // 64).astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 10, 20, 30, 100, 110, 120, 200, 0, 50])
    palette = np.array([[0, 0, 0], [10, 20, 30], [100, 110, 120], [200, 0, 50]])
    assert np.array_equal(values(encoded(image)), palette[GREY // 64])
    palette[3] = 0
    assert np.array_equal(values(encoded(image, transparency=3)), palette[GREY // 64])


def test_one_bit_sixteen_bits_and_floats() -> None:
    assert np.array_equal(values(encoded(Image.fromarray(GREY > 99))), np.where(GREY > 99, 255, 0))
    wide = Image.fromarray(GREY.astype(np.uint16) * 257)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(values(encoded(wide, kind)), GREY)
    for scale in (1 / 255, 1, 257):
        assert np.array_equal(
            values(encoded(Image.fromarray((GREY.astype(float) * scale).astype(np.float32)), "TIFF")), GREY
        )
    whole = Image.fromarray(GREY.astype(np.int32) * 257)
    assert np.array_equal(values(encoded(whole, "TIFF")), GREY)
    with pytest.raises(BadPhoto, match="not a number"):
        values(encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"))


def test_cmyk() -> None:
    red = Image.new("CMYK", (40, 32), (0, 255, 255, 0))
    found = values(encoded(red, "JPEG", quality=95)).reshape(-1, 3).astype(int)
    assert (abs(found - [255, 0, 0]) < 8).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_exif_rotation(orientation: int, kind: str) -> None:
    upright = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: np.rot90(GREY, -1),
        7: GREY[::-1, ::-1].T,
        8: np.rot90(GREY),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode.photo(encoded(Image.fromarray(GREY), kind, exif=exif), 1)
    assert np.array_equal(np.asarray(found.image), upright)
    assert (found.height, found.width) == upright.shape


def test_the_first_of_several_frames() -> None:
    data = encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    assert np.array_equal(values(data), GREY)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"<html>not found</html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (encoded(Image.fromarray(GREY[:7])), "too small"),
        (encoded(Image.new("1", (3000, 2000))), "more than dataset.max_megapixels = 1"),
    ],
)
def test_what_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadPhoto, match=says):
        decode.photo(data, 1)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP"]), st.data())
def test_damaged_files_never_raise_anything_else(kind: str, draw: st.DataObject) -> None:
    whole = encoded(Image.fromarray(COLOUR), kind)
    data = bytearray(whole[: draw.draw(st.integers(1, len(whole)), label="cut")])
    for _ in range(draw.draw(st.integers(0, 3), label="flips")):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = decode.photo(bytes(data), 1)
    except BadPhoto as found_bad:
        error = str(found_bad)
        assert "\n" not in error
        assert " at 0x" not in error
    else:
        assert found.image.mode in ("L", "RGB")
        assert min(found.image.size) >= 1


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "BMP"]), st.floats(0.05, 0.95))
def test_a_cut_file_is_noticed(kind: str, share: float) -> None:
    whole = encoded(Image.fromarray(COLOUR), kind)
    with pytest.raises(BadPhoto):
        decode.photo(whole[: int(share * len(whole))], 1)


def test_a_flipped_bit_in_a_png_is_noticed() -> None:
    whole = bytearray(encoded(Image.fromarray(GREY), compress_level=0))
    whole[len(whole) // 2] ^= 1
    with pytest.raises(BadPhoto, match="damaged"):
        decode.photo(bytes(whole), 1)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(8, 150),
    st.integers(8, 150),
    st.sampled_from(["stretch", "letterbox", "crop"]),
    st.sampled_from([16, 37, 64]),
    st.booleans(),
)
def test_photo_and_mask_stay_in_register(width: int, height: int, how: str, size: int, drafted: bool) -> None:
    """A photo that is white where its mask is set still is so at working size, also when decoded smaller."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = 255
    whole = decode.Decoded(Image.fromarray(mask), width, height)
    half = Image.fromarray(mask).reduce(2) if drafted else Image.fromarray(mask)
    photo = np.asarray(fitting.fit(decode.Decoded(half, width, height), size, how), dtype=int)
    small = np.asarray(fitting.fit(whole, size, how, is_mask=True))
    assert photo.shape == small.shape == (size, size)
    assert set(np.unique(small)) <= {0, 255}
    wrong = (photo > 127) != (small > 127)
    edges = 4 * size * max(2, 2 * size / min(width, height))
    assert wrong.sum() <= edges
    if (
        how != "letterbox" or min(width, height) / max(width, height) * size >= 8
    ):  # else a strip of a few pixels
        core = np.zeros_like(wrong)
        core[size // 2 - 1 : size // 2 + 1, size // 2 - 1 : size // 2 + 1] = True
        assert not wrong[core].any()


def test_letterbox_pads_with_the_colour_of_the_border() -> None:
    wide = decode.Decoded(Image.new("RGB", (40, 20), (10, 200, 30)), 40, 20)
    assert np.array_equal(np.asarray(fitting.fit(wide, 16, "letterbox")), np.full((16, 16, 3), (10, 200, 30)))


def test_a_hairline_defect_survives_shrinking() -> None:
    mask = np.zeros((320, 320), np.uint8)
    mask[:, 3] = 255
    small = fitting.fit(decode.Decoded(Image.fromarray(mask), 320, 320), 16, "stretch", is_mask=True)
    assert np.asarray(small).any()


@pytest.mark.parametrize("size", [16, 100, 256, 500])
def test_a_thin_crack_stays_in_one_piece_and_a_broad_defect_does_not_grow(size: int) -> None:
    mask = np.zeros((630, 250), np.uint8)
    x = np.arange(20, 230)
    y = (300 + 0.11 * x + 3 * np.sin(x / 9)).astype(int)
    mask[y, x] = mask[y + 1, x] = 255
    assert label(mask, np.ones((3, 3)))[1] == 1
    small = fitting.fit(decode.Decoded(Image.fromarray(mask), 250, 630), size, "stretch", is_mask=True)
    assert label(np.asarray(small), np.ones((3, 3)))[1] == 1
    assert set(np.unique(small)) == {0, 255}
    mask[:] = 0
    mask[100:300, 50:150] = 255
    small = fitting.fit(decode.Decoded(Image.fromarray(mask), 250, 630), size, "stretch", is_mask=True)
    assert np.asarray(small).mean() / 255 == pytest.approx(mask.mean() / 255, rel=2.5 / size + 0.02)


def test_masks_with_ringing_with_label_numbers_and_of_16_bits() -> None:
    clean = trees.spot()
    ringing = np.where(clean, 250, 3).astype(np.uint8)
    for stored in (
        Image.fromarray(ringing),
        Image.fromarray(clean // 255 * 2),
        Image.fromarray(clean > 0),
        Image.fromarray((clean // 255).astype(np.uint16)),
        Image.fromarray(np.dstack([clean] * 3)),
    ):
        assert np.array_equal(np.asarray(decode.mask(encoded(stored), 1).image), clean)


def test_draft_gives_nearly_the_same_photo() -> None:
    data = encoded(Image.fromarray(trees.pixels(5, 1600, 1200)), "JPEG", quality=95)
    fast = decode.photo(data, 10, at_least=64)
    assert fast.image.width < fast.width == 1600
    slow = fitting.fit(decode.photo(data, 10), 64, "stretch")
    assert np.abs(np.asarray(fitting.fit(fast, 64, "stretch"), int) - np.asarray(slow, int)).max() <= 6
