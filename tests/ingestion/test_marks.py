"""What a mask marks: everything but the background, however it was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import trees
from adrefine.ingestion import decode
from adrefine.ingestion.decode import BadPhoto
from odd_files import encoded

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


def test_nothing_and_everything() -> None:
    assert not marked(Image.fromarray(CLEAR)).any()
    assert (marked(Image.fromarray(CLEAR + 255)) == 255).all()


def _saved(values: np.ndarray) -> object:
    from io import BytesIO

    return BytesIO(encoded(Image.fromarray(values), "JPEG", quality=70))
