"""What a mask marks: everything but the background, however it was drawn."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import trees
from adrefine.ingestion import decode
from adrefine.ingestion.decode import BadPhoto
from odd_files import encoded, png16, tiff

ONE, TWO = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
ONE[20:32, 10:30] = 1
TWO[44:54, 40:56] = 1
BOTH = (ONE + TWO) * 255
CLEAR = np.zeros_like(ONE)


def marked(image: Image.Image, kind: str = "PNG", **options: object) -> np.ndarray:
    return np.asarray(decode.mask(encoded(image, kind, **options), 1).image)


def palette(values: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(values, mode="P")
    flat = [0] * 768
    for index, colour in colours.items():
        flat[3 * index : 3 * index + 3] = colour
    image.putpalette(flat)
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(ONE + 2 * TWO),
        Image.fromarray(ONE + 200 * TWO),
        Image.fromarray(85 * ONE + 170 * TWO),
        Image.fromarray(64 * ONE + 255 * TWO),
        Image.fromarray(ONE + 300 * TWO.astype(np.uint16)),
        palette(ONE + 8 * TWO, {1: (128, 0, 0), 8: (64, 0, 0)}),
        palette(1 - ONE - TWO, {0: (255, 255, 255)}),  # black is the second colour
        Image.fromarray(np.dstack([200 * ONE, 30 * TWO, CLEAR])),
        Image.fromarray(np.dstack([255 - 255 * ONE, 255 - 255 * TWO, CLEAR + 255])),  # white background
        Image.fromarray(ONE + TWO > 0),
        Image.fromarray(np.dstack([CLEAR, CLEAR, CLEAR, BOTH])),  # black paint on a clear layer
        Image.fromarray(np.dstack([CLEAR + 255, CLEAR, CLEAR, BOTH])),
        Image.fromarray(np.dstack([BOTH, BOTH, BOTH, CLEAR])),  # an alpha that nobody filled in
        Image.fromarray(np.dstack([BOTH, CLEAR + 255])),
        Image.fromarray(np.dstack([BOTH, BOTH // 2 + 100])),
        Image.fromarray(3 + 247 * (ONE + TWO)),
    ],
)
def test_every_value_but_the_background_is_marked(image: Image.Image) -> None:
    assert np.array_equal(marked(image), BOTH)


def test_fringes_of_jpeg_and_of_smooth_scaling_are_not() -> None:
    found = marked(Image.fromarray(BOTH), "JPEG", quality=70)
    assert np.array_equal(found, BOTH)
    ringing = np.asarray(Image.open(_saved(BOTH)))
    assert len(np.unique(ringing)) > 5
    assert np.array_equal(marked(Image.fromarray(ringing)), BOTH)
    smooth = Image.fromarray(trees.spot(400, 320)).resize((40, 32), Image.Resampling.LANCZOS)
    assert np.array_equal(marked(smooth), trees.spot())


def test_a_mask_that_cannot_be_understood_is_refused() -> None:
    with pytest.raises(BadPhoto, match="no part of it is black"):
        marked(Image.fromarray(np.arange(1, 65, dtype=np.uint8).repeat(64).reshape(64, 64)))
    layer = np.dstack([255 * TWO, CLEAR, CLEAR, 255 * (1 - ONE)])
    layer[20:32, 10:30, :3] = 200
    with pytest.raises(BadPhoto, match="transparency and its colours"):
        marked(Image.fromarray(layer))


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_every_region_of_a_jpeg_that_is_no_noise(quality: int) -> None:
    for levels in (85 * ONE + 170 * TWO, 40 * ONE + 255 * TWO, 100 * (ONE + TWO)):
        found = marked(Image.fromarray(levels), "JPEG", quality=quality)
        assert np.count_nonzero(found != BOTH) < 0.15 * np.count_nonzero(BOTH)  # the edge, where levels blur
    with pytest.raises(BadPhoto, match="is all noise"):
        marked(Image.fromarray(ONE + 2 * TWO), "JPEG", quality=quality)


def test_what_is_far_from_all_else_is_no_fringe() -> None:
    mask = 255 * ONE
    mask[60, 5:60] = 30  # one pixel thin
    assert np.array_equal(marked(Image.fromarray(mask)), np.where(mask > 0, 255, 0))
    scores = (4 * np.arange(64)).astype(np.uint8) * np.ones((64, 1), np.uint8)
    with pytest.raises(BadPhoto, match="a map of many levels"):
        marked(Image.fromarray(scores))


@pytest.mark.parametrize("away", [4, 8, 15])
@pytest.mark.parametrize("level", [1, 20, 85, 127])
@pytest.mark.parametrize("edge", ["sharp", "smooth", "ringing"])
def test_a_faint_line_near_a_mark_counts_where_jpeg_has_no_such_level(
    edge: str, level: int, away: int
) -> None:
    mask = Image.fromarray(np.pad(255 * ONE, 64))
    if edge == "smooth":
        mask = (
            mask.resize((768, 768))
            .resize(mask.size, Image.Resampling.BOX)
            .rotate(7, Image.Resampling.BILINEAR)
        )
    elif edge == "ringing":
        mask = Image.open(_saved(np.asarray(mask)))
    before = marked(mask)
    values = np.asarray(mask).copy()
    row = np.flatnonzero((values > 127).any(axis=1))[-1] + away
    values[row, 70:110] = level
    wanted = before.copy()
    wanted[row, 70:110] = 255
    if edge == "ringing" and level == 1:  # as faint as the noise
        wanted = before
    assert np.array_equal(marked(Image.fromarray(values)), wanted)


@pytest.mark.parametrize("quality", [50, 75, 90, 95, 98, 100])
def test_noise_of_jpeg_in_a_png_is_no_mark(quality: int) -> None:
    for seed in range(12):
        drawn = np.zeros((128, 128), np.uint8)
        for y, x, h, w in np.random.default_rng(seed).integers(3, 60, (3, 4)):
            drawn[y : y + h, x : x + w] = 255
        data = encoded(Image.fromarray(drawn), "JPEG", quality=quality)
        wrong = np.count_nonzero(marked(Image.open(BytesIO(data))) != drawn)
        assert wrong <= (10 if quality == 100 else 0)  # there the noise is one level, as a class may be


def test_class_numbers_of_a_palette() -> None:
    assert np.array_equal(marked(palette(ONE + 2 * TWO, {})), BOTH)  # all black to the eye
    assert np.array_equal(marked(palette(ONE + 2 * TWO, {1: (9, 9, 9), 2: (9, 9, 9)})), BOTH)
    with pytest.raises(BadPhoto, match="classes 0 and 1 have the colour of the background"):
        marked(palette(ONE + 2 * TWO, {2: (0, 0, 255)}))
    with pytest.raises(BadPhoto, match="black is no class 0"):
        marked(palette(ONE + TWO, {0: (200, 0, 0)}))


def test_layers_of_sixteen_bits_and_white_that_is_zero() -> None:
    wide = BOTH.astype(np.uint16) * 257
    nothing = np.zeros_like(wide)
    for layers in ([nothing, wide], [nothing, nothing, nothing, wide]):  # black paint on a clear layer
        found = decode.mask(png16(np.dstack(layers)), 1)
        assert np.array_equal(np.asarray(found.image), BOTH)
    found = decode.mask(tiff(65535 - wide, tags={262: (3, [0])}), 1)
    assert np.array_equal(np.asarray(found.image), BOTH)
    torn = np.where(BOTH > 0, 1, np.nan).astype(np.float32)
    with pytest.raises(BadPhoto, match="not a number"):
        decode.mask(tiff(torn), 1)
    paints = np.dstack([255 * ONE, CLEAR, CLEAR, BOTH])  # one of them black
    with pytest.raises(BadPhoto, match="transparency and its colours"):
        marked(Image.fromarray(paints))


def test_nothing_and_everything() -> None:
    assert not marked(Image.fromarray(CLEAR)).any()
    assert (marked(Image.fromarray(CLEAR + 255)) == 255).all()


def _saved(values: np.ndarray) -> object:
    return BytesIO(encoded(Image.fromarray(values), "JPEG", quality=70))
