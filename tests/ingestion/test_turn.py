"""Photos, masks, points and maps through a transform and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import label

from adrefine.ingestion import fitting, pose
from adrefine.ingestion.affine import Affine
from adrefine.ingestion.decode import Decoded
from adrefine.ingestion.fitting import turn, turn_mask
from ingestion.drawn import club, photo

TURNED = Affine(0.9, -0.5, 30.0, 0.5, 0.9, -10.0)


def decoded(values: np.ndarray) -> Decoded:
    return Decoded(Image.fromarray(values), values.shape[1], values.shape[0])


def posed(values: np.ndarray, size: int = 100) -> tuple[Decoded, Affine]:
    given = decoded(values)
    return given, pose.find(pose.reduced(given.image)).transform(given.width, given.height, size, 0)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@given(st.floats(-3.1, 3.1), st.floats(0.05, 1), st.floats(0.05, 1), st.integers(20, 5000))
def test_points_come_back(angle: float, length: float, width: float, side: int) -> None:
    found = pose.Pose("", 0.4, 0.3, angle, length, width, 2.0)
    move = found.transform(side, side // 2 + 8, 448, 0)
    points = np.random.default_rng(0).uniform(0, 448, (20, 2))
    assert np.allclose(move.inverse().apply(move.apply(points)), points, atol=1e-6)


def test_points_by_hand() -> None:
    move = Affine(2, 0, 10, 0, 3, 20)
    assert move.apply([(1, 1)]).tolist() == [[12, 23]]
    assert move.inverse().apply([(12, 23)]).tolist() == [[1, 1]]
    assert move.box((1, 1, 2, 3)) == (12, 23, 14, 29)
    quarter = Affine(0, -1, 50, 1, 0, 0)
    assert quarter.box((0, 0, 10, 20)) == (30, 0, 50, 10)


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
def test_the_transform_of_every_fit_leads_to_the_pixel_it_shows(how: str) -> None:
    values = np.full((60, 90), 100, np.uint8)
    values[24:30, 54:60] = 250
    small = np.asarray(fitting.fit(decoded(values), 48, how))
    centre = np.argwhere(small > 175).mean(axis=0)[::-1] + 0.5
    assert fitting.transform(90, 60, 48, how).apply([centre])[0] == pytest.approx((57, 27), abs=0.7)


@pytest.mark.parametrize("angle", [-2.5, -1.0, 0.0, 0.6, 1.57, 3.0])
def test_a_club_at_any_angle_becomes_the_same_picture(angle: float) -> None:
    expected = np.asarray(turn(*posed(photo(club(0.0))), 100)) < 130
    found = np.asarray(turn(*posed(photo(club(angle, at=(78, 60)))), 100)) < 130
    assert overlap(found, expected) > 0.85
    assert found[:, 70:].sum() > 1.5 * found[:, :30].sum()  # the thick end is right


def test_grey_stays_grey_and_colours_agree_with_grey() -> None:
    values = photo(club(0.6))
    grey, colour = turn(*posed(values), 64), turn(*posed(np.dstack([values] * 3)), 64)
    assert (grey.mode, colour.mode) == ("L", "RGB")
    assert np.array_equal(np.asarray(colour)[..., 1], np.asarray(grey))


def test_outside_the_photo_is_the_shade_of_its_border() -> None:
    values = np.dstack([photo(club(0.8, at=(62, 48), size=(124, 96)), noise=0)] * 3)
    values[..., 2] //= 2
    found = np.asarray(turn(*posed(values), 200))
    corners = found[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners.astype(int) - [200, 200, 100]).max() <= 1


def test_fine_detail_is_averaged_not_skipped() -> None:
    values = np.tile(np.array([[0, 200], [200, 0]], np.uint8), (40, 50))
    move = Affine(1.9, -0.3, 2, 0.3, 1.9, 0)
    inner = np.asarray(turn(decoded(values), move, 30))[5:-5, 8:-5].astype(int)
    assert abs(inner.mean() - 100) < 3
    assert inner.std() < 15  # of single samples: 100


def test_a_photo_decoded_smaller_gives_the_same_picture() -> None:
    values = photo(club(0.6, (800, 640), (1600, 1280), 10.0), noise=0)
    whole, move = posed(values, 64)
    half = Decoded(whole.image.reduce(4), 1600, 1280)
    assert np.abs(np.asarray(turn(half, move, 64)).astype(int) - np.asarray(turn(whole, move, 64))).max() < 25


@pytest.mark.parametrize("angle", [0.4, 2.2])
def test_masks_turn_with_their_photo(angle: float) -> None:
    part = club(angle)
    given, move = posed(photo(part, noise=0))
    image = np.asarray(turn(given, move, 100)) < 130
    mask = np.asarray(turn_mask(decoded(part.astype(np.uint8) * 255), move, 100))
    assert set(np.unique(mask)) == {0, 255}
    assert overlap(mask > 0, image) > 0.9


@pytest.mark.parametrize("thickness", [1, 2])
def test_a_thin_crack_stays_whole(thickness: int) -> None:
    mask = np.zeros((1280, 1600), np.uint8)
    for x in range(500, 1100):
        y = 640 + (x - 800) // 3
        mask[y : y + thickness, x] = 255
    _, move = posed(photo(club(0.3, (800, 640), (1600, 1280), 10.0)), 64)
    found = np.asarray(turn_mask(decoded(mask), move, 64))
    assert label(found, np.ones((3, 3)))[1] == 1
    assert 30 < np.ptp(np.nonzero(found)[1]) < 64
    assert not np.asarray(turn_mask(decoded(mask * 0), move, 64)).any()


def test_a_large_defect_keeps_its_area() -> None:
    mask = club(0.3).astype(np.uint8) * 255
    found = np.asarray(turn_mask(decoded(mask), TURNED, 128)) > 0
    expected = (mask > 0).sum() / abs(TURNED.a * TURNED.e - TURNED.b * TURNED.d)
    assert found.sum() == pytest.approx(expected, rel=0.03)


def test_a_map_turns_back_onto_its_photo() -> None:
    """The middle of what a map of 14 x 14 marks comes to lie on the defect, in the photo's own pixels."""
    part = club(2.2)
    given, move = posed(photo(part), 448)
    spot = np.zeros((128, 160), np.uint8)
    spot[72:80, 66:74] = 255
    small = turn_mask(decoded(spot), move, 448).resize((14, 14), Image.Resampling.BOX)
    heat = np.asarray(small, dtype=np.float32)
    back = np.asarray(move.map_back(heat, 448, (given.width, given.height)))
    assert back.shape == (128, 160)
    y, x = np.average(np.indices(back.shape).reshape(2, -1), axis=1, weights=back.ravel())
    assert (x + 0.5, y + 0.5) == pytest.approx((70, 76), abs=1)
    assert back[0, 0] == heat.min()
