"""Files of more than 8 bits and of odd kinds: read right, or refused by their name."""

from __future__ import annotations

import struct
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import trees
from adrefine.ingestion import decode, stacks
from adrefine.ingestion.decode import BadPhoto, Decoded
from adrefine.ingestion.samples import Samples
from odd_files import encoded, packed12, png16, tiff

GREY = trees.pixels(1)  # (32, 40)
COLOUR = np.stack([trees.pixels(seed) for seed in (1, 2, 3)], axis=2)
WIDE, WIDE_COLOUR = GREY.astype(np.uint16) * 257, COLOUR.astype(np.uint16) * 257


def values(data: bytes) -> np.ndarray:
    return np.asarray(decode.as_grey(decode.photo(data, 1).image))


def samples(data: bytes) -> np.ndarray:
    found = decode.read(data, 1)
    assert isinstance(found, Samples)
    return found.values


def written(photo: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, photo, **options)
    return buffer.getvalue()


def test_every_bit_of_deep_photos_arrives() -> None:
    photo = (GREY.astype(np.uint16) << 4) + 5
    colours = (COLOUR.astype(np.uint16) << 4) + 5
    assert np.array_equal(samples(png16(photo)), photo)
    assert np.array_equal(samples(png16(colours)), colours)
    assert np.array_equal(samples(tiff(photo)), photo)
    assert np.array_equal(samples(tiff(colours)), colours)
    assert np.array_equal(samples(tiff(np.moveaxis(colours, 2, 0), planar=True)), colours)
    for compression in ("zlib", "lzw", "packbits"):
        assert np.array_equal(samples(written(photo, compression=compression, predictor=False)), photo)
    assert np.array_equal(samples(written(photo, compression="zlib", predictor=True, tile=(16, 16))), photo)
    assert np.array_equal(samples(written(photo, byteorder=">", bigtiff=True)), photo)
    for header, there in ((b"P5 # c\n40 32\n4095\n", photo % 4096), (b"P6\n40 32\n4095\n", colours % 4096)):
        assert np.array_equal(samples(header + there.astype(">u2").tobytes()), there)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, np.uint32, np.int16])
def test_numbers_of_every_type(kind: type) -> None:
    photo = GREY.astype(kind)
    assert np.array_equal(samples(tiff(photo)), photo)
    assert np.array_equal(values(tiff(photo)), GREY)


def test_white_is_zero() -> None:
    inverted = {262: (3, [0])}
    assert np.array_equal(values(tiff(65535 - WIDE, tags=inverted)), GREY)
    assert np.array_equal(values(tiff((255 - GREY), tags=inverted)), GREY)
    assert np.array_equal(values(tiff((1 - GREY / 255).astype(np.float32), tags=inverted)), GREY)


def test_twelve_bits_packed_in_tags_and_in_header() -> None:
    photo = GREY.astype(np.uint16) * 16
    found = decode.read(tiff(photo, raw=packed12(photo), tags={258: (3, [12])}), 1)
    assert isinstance(found, Samples)
    assert np.array_equal(found.values, photo)
    assert found.full == 4095
    for data in (tiff(photo, tags={281: (3, [4095])}), png16(photo, sbit=12)):
        found = decode.read(data, 1)
        assert isinstance(found, Samples)
        assert found.declared == 4095


def test_digits_say_as_much_as_bytes() -> None:
    photo = GREY.astype(np.uint16) * 16
    for white, full in ((4095, 4095), (65535, None)):  # of the latter cameras of 12 bits use a sixteenth
        found = decode.read(b"P2\n# c\n40 32\n%d\n" % white + _digits(photo), 1)
        assert isinstance(found, Samples)
        assert np.array_equal(found.values, photo)
        assert found.full == full
    colours = COLOUR.astype(np.uint16) * 16
    assert np.array_equal(samples(b"P3 40 32 65535 " + _digits(colours)), colours)
    for text in (_digits(photo)[:-20], _digits(photo)[:-9] + b" x 1 2 3", b"70000 " + _digits(photo)):
        with pytest.raises(BadPhoto, match="damaged"):
            decode.read(b"P2 40 32 65535 " + text, 1)


def _digits(photo: np.ndarray) -> bytes:
    return b"\n".join(b" ".join(b"%d" % value for value in row) for row in photo.reshape(len(photo), -1))


def test_every_bit_of_jpeg_2000_arrives() -> None:
    photo, colours = GREY.astype(np.uint16) * 16, COLOUR.astype(np.uint16) * 16
    for there, options in ((photo, {}), (colours, {}), (photo, {"bitspersample": 12})):
        data = imagecodecs.jpeg2k_encode(there, level=0, reversible=True, **options)
        assert np.array_equal(samples(data), there)
        found = decode.read(data, 1)
        assert isinstance(found, Samples)
        assert found.full == (4095 if options else None)
        with pytest.raises(BadPhoto):
            decode.read(data[: len(data) // 2], 1)
    signed = photo.astype(np.int16) - 2000
    assert np.array_equal(samples(imagecodecs.jpeg2k_encode(signed, level=0, reversible=True)), signed)


def test_fewer_than_eight_bits_fill_the_range() -> None:
    six = "".join(f"{value >> 2:06b}" for value in GREY.ravel())
    data = tiff(GREY, raw=int(six, 2).to_bytes(GREY.size * 6 // 8, "big"), tags={258: (3, [6])})
    assert np.array_equal(values(data), np.rint((GREY >> 2) / 63 * 255))


def test_alpha_that_is_the_same_all_over_says_nothing() -> None:
    for alpha in (np.zeros_like(GREY), np.ones_like(GREY)):
        for kind in ("PNG", "TIFF"):
            assert np.array_equal(values(encoded(Image.fromarray(np.dstack([COLOUR, alpha])), kind)), COLOUR)
        for bits in (COLOUR, WIDE_COLOUR):  # colours that were multiplied with it
            layers = np.dstack([bits, alpha])
            data = written(layers, photometric="rgb", extrasamples=["assocalpha"])
            assert np.array_equal(values(data), COLOUR)
    inverted = written(np.dstack([255 - GREY, GREY * 0 + 255]), photometric="miniswhite", extrasamples=[2])
    assert np.array_equal(values(inverted), GREY)
    nothing = encoded(Image.fromarray(np.zeros((32, 40, 4), np.uint8)))
    with pytest.raises(BadPhoto, match="transparent all over"):
        decode.photo(nothing, 1)


def test_alpha_that_nobody_filled_in_is_no_transparency() -> None:
    clear = np.zeros_like(GREY)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(values(encoded(Image.fromarray(np.dstack([COLOUR, clear])), kind)), COLOUR)
    assert np.array_equal(values(encoded(Image.fromarray(np.dstack([GREY, clear])))), GREY)
    assert np.array_equal(values(png16(np.dstack([WIDE_COLOUR, clear]))), COLOUR)
    half = np.dstack([WIDE, np.full_like(WIDE, 65535)])
    half[:, :20, 1] = 0
    assert np.array_equal(values(png16(half))[:, 20:], GREY[:, 20:])
    assert not values(png16(half))[:, :20].any()


def test_a_bitmap_with_an_alpha_mask_of_zeros() -> None:
    pixels = np.dstack([COLOUR[..., ::-1], np.zeros_like(GREY)])[::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, 40, 32, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    data = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head)) + head + pixels
    assert np.array_equal(values(data), COLOUR)


def test_the_full_picture_is_taken_where_a_preview_comes_first() -> None:
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(GREY[::2, ::2], subfiletype=1)
        file.write(GREY)
    assert np.array_equal(values(buffer.getvalue()), GREY)
    assert stacks.pictures(buffer.getvalue()) == 1


@pytest.mark.parametrize("flag", [0, 1])
def test_the_largest_picture_is_taken_wherever_it_is(flag: int) -> None:
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as file:  # as raw files of cameras are laid out
        file.write(GREY[::4, ::4], subfiletype=flag, subifds=1)
        file.write(WIDE)
    assert np.array_equal(samples(buffer.getvalue()), WIDE)


def test_stacks_are_counted() -> None:
    assert stacks.pictures(written(np.stack([GREY] * 3), photometric="minisblack")) == 3
    two = {"save_all": True, "append_images": [Image.fromarray(COLOUR[::-1].copy())]}
    assert stacks.pictures(encoded(Image.fromarray(COLOUR), "PNG", **two)) == 2
    assert stacks.pictures(encoded(Image.fromarray(COLOUR), "WEBP", lossless=True, **two)) == 2
    assert stacks.pictures(encoded(Image.fromarray(COLOUR))) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_photos_are_turned_like_others(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = values(encoded(Image.fromarray(GREY), exif=exif))
    assert np.array_equal(values(tiff(WIDE, tags={274: (3, [orientation])})), plain)
    assert np.array_equal(values(encoded(Image.fromarray(WIDE), exif=exif)), plain)


_FIVE = np.dstack([WIDE] * 5)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (tiff(GREY, tags={262: (3, [32803])}), "raw sensor data (CFA, Bayer pattern)"),
        (tiff(_FIVE), "5 channels"),
        (tiff(np.dstack([WIDE] * 4), tags={262: (3, [5])}), "16-bit CMYK colours"),
        (tiff(GREY, tags={339: (3, [6]), 258: (3, [64])}), "complex numbers"),
        (tiff(np.dstack([GREY] * 3), tags={262: (3, [8])}), "CIELab"),
        (tiff(COLOUR, tags={258: (3, [5, 6, 5])}), "different bit depths"),
    ],
)
def test_kinds_that_are_not_read_are_named(data: bytes, says: str) -> None:
    with pytest.raises(BadPhoto, match="a TIFF of a kind that cannot be read") as error:
        decode.photo(data, 1)
    assert says in str(error.value)
    assert "export it as 8- or 16-bit" in str(error.value)
    assert "cut off" not in str(error.value)


@pytest.mark.parametrize("photo", [GREY, WIDE])
def test_missing_strips_and_cut_ones(photo: np.ndarray) -> None:
    whole = tiff(photo)
    for data in (
        whole[: len(whole) // 2],
        tiff(photo, tags={279: (4, [0])}),
        tiff(photo, tags={278: (4, [8])}),  # four strips, one named
        tiff(photo, tags={273: (4, [0])}),
    ):
        with pytest.raises(BadPhoto, match=r"missing|truncated"):
            decode.photo(data, 1)


@pytest.mark.parametrize("kind", ["BMP", "PPM", "TIFF"])
@pytest.mark.parametrize("photo", [GREY, COLOUR])
def test_a_copy_that_was_cut_short_and_filled_with_zeros(kind: str, photo: np.ndarray) -> None:
    rows = np.maximum(photo, 1)

    def filed(order: np.ndarray) -> bytes:
        """With its rows in this order in the file."""
        return encoded(Image.fromarray(order[::-1] if kind == "BMP" else order), kind)

    flat, hole = rows.copy(), rows.copy()
    flat[20, 13:] = flat[21:] = 0
    hole[4, 30:] = hole[5:9] = 0
    hole[9, :25] = 0
    for torn, where in (
        (flat, "36% of it are zeros, of the last"),
        (flat[::-1, ::-1], "first"),
        (hole, "inner"),
    ):
        with pytest.raises(BadPhoto, match=f"{where} rows"):
            decode.photo(filed(torn), 1)
    band = np.where(hole > 0, 255, 0).astype(np.uint8)  # a mask may have one
    assert isinstance(decode.read(filed(band), 1), Decoded)
    disc = rows.copy()
    y, x = np.mgrid[:32, :40]
    disc[(y - 12) ** 2 + (x - 20) ** 2 > 100] = 0
    below = rows.copy()
    below[21:] = 0
    for sound in (disc, below):
        assert np.array_equal(values(encoded(Image.fromarray(sound), kind)), sound)


def test_names_of_what_is_no_photo() -> None:
    for data, says in (
        (b"\0\0\0\x18ftypheic" + bytes(40), "kind heic, not read: convert it to PNG"),
        (b"%PDF-1.7 " + bytes(40), "not an image but a PDF"),
        (b"GIF89a" + bytes(40), "a GIF"),
        (imagecodecs.jpegls_encode(GREY), "JPEG-LS"),
        (imagecodecs.jpeg8_encode(WIDE >> 4, bitspersample=12), "12 bits a sample"),
        (encoded(Image.fromarray(GREY), "JPEG")[:60], "a JPEG that is cut off or damaged in its header"),
        (encoded(Image.fromarray(GREY))[:20], "a PNG whose header is cut off"),
        (b"P7\nWIDTH 40\n", "a PAM"),
        (b"some text about a photo", r"not an image \(PNG"),
    ):
        with pytest.raises(BadPhoto, match=says):
            decode.photo(data, 1)
