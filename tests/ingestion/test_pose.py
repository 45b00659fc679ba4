"""How a part lies: right numbers for drawn parts, and none where there is no telling."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import trees
from adrefine.ingestion import pose
from adrefine.ingestion.pose import CUT, NOTHING, SEVERAL, Pose
from ingestion.drawn import LENGTH, WIDTH, club, photo

ANGLES = np.linspace(-pi, pi, 13)[1:]


def find(values: np.ndarray) -> Pose:
    return pose.find(pose.reduced(Image.fromarray(values)))


def apart(first: float, second: float) -> float:
    """Smallest angle between two directions."""
    return float(abs(np.angle(np.exp(1j * (first - second)))))


@pytest.mark.parametrize("angle", ANGLES)
def test_angle_centre_and_extent_of_a_club(angle: float) -> None:
    found = find(photo(club(angle, at=(75, 66))))
    assert found.problem == ""
    assert apart(found.angle, angle) < 0.03
    assert (found.x * 160, found.y * 160) == pytest.approx((75, 66), abs=2)
    assert (found.length * 160, found.width * 160) == pytest.approx((LENGTH, WIDTH), abs=4)
    assert 3.5 < found.ratio < 5.5


def test_brighter_parts_colours_and_any_size() -> None:
    dark, bright = photo(club(1.0)), photo(club(1.0), shade=220, ground=30)
    green = np.dstack([dark * 0 + 90, dark, dark * 0 + 90])  # one channel alone tells
    for values in (bright, green, np.dstack([dark] * 3), photo(club(1.0, (800, 640), (1600, 1280), 10.0))):
        assert apart(find(values).angle, find(dark).angle) < 0.02


def test_a_colour_of_the_same_lightness_tells() -> None:
    part = club(0.5)
    values = np.where(part[..., None], [150, 60, 120], [60, 150, 120]).astype(np.uint8)
    assert apart(find(values).angle, 0.5) < 0.03


def test_a_round_part_has_no_axis() -> None:
    y, x = np.mgrid[:128, :128]
    assert find(photo(np.hypot(x - 64, y - 60) < 40)).ratio == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.full((128, 160), 200, np.uint8), NOTHING),
        (photo(np.zeros((128, 160), bool), noise=12), NOTHING),
        (photo(club(0.3), shade=196), NOTHING),  # white on white
        (photo(club(0.3), shade=150, noise=60), NOTHING),  # lost in the background's noise
        (trees.pixels(3, 160, 128), NOTHING),  # texture up to the border
        (photo(club(0.2, (50, 30), scale=0.6) | club(1.4, (115, 80), scale=0.6)), SEVERAL),
        (photo(np.mgrid[:128, :160][1] > 70), CUT),
        (photo(club(0.1))[57:71], NOTHING),  # a strip too low to hold a part
    ],
)
def test_no_pose_where_there_is_no_telling(values: np.ndarray, problem: str) -> None:
    assert find(values) == Pose(problem)


def test_faint_parts_and_noisy_grounds_within_reason() -> None:
    for values in (
        photo(club(0.7), shade=180, ground=200, noise=3),
        photo(club(0.7), shade=60, ground=200, noise=40),
        photo(club(0.7, (80, 58))),
    ):
        assert apart(find(values).angle, 0.7) < 0.06


def test_a_speck_beside_the_part_is_no_second_part() -> None:
    part = club(0.7)
    part[10:20, 140:150] = True
    assert apart(find(photo(part)).angle, 0.7) < 0.03


def test_uneven_light_and_a_shadow_to_the_border_leave_the_pose() -> None:
    values = photo(club(pi / 2, (80, 64)), noise=2).astype(float)
    values += np.linspace(-15, 15, 160)
    values[110:, 76:84] -= 40
    assert apart(find(np.clip(values, 0, 255).astype(np.uint8)).angle, pi / 2) < 0.06


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["L", "RGB"]),
    st.integers(0, 3),
    st.integers(0, 99),
)
def test_never_a_crash(width: int, height: int, mode: str, bits: int, seed: int) -> None:
    shape = (height, width) if mode == "L" else (height, width, 3)
    values = np.random.default_rng(seed).integers(0, 2**bits, shape) * 80
    found = find(values.astype(np.uint8))
    assert found == Pose(found.problem) or (0 < found.length <= 1.5 and found.ratio >= 1)


def test_the_transform_puts_the_part_in_the_middle_thick_end_right() -> None:
    found = find(photo(club(2.0, at=(75, 66))))
    move = found.transform(160, 128, 100, 0)
    along = np.array([np.cos(found.angle), np.sin(found.angle)])
    centre = np.array([found.x, found.y]) * 160
    middle, right = move.apply([(50, 50), (50 + 50 / pose.MARGIN, 50)])
    assert middle == pytest.approx(centre, abs=1e-3)
    assert right == pytest.approx(centre + along * found.length * 80, abs=1e-3)


@pytest.mark.parametrize("aspect", [1.0, 2.0, 8.0])
def test_a_common_aspect_widens_the_box_on_one_side_alone(aspect: float) -> None:
    found = find(photo(club(2.0)))
    own, common = found.transform(160, 128, 100, 0).steps(), found.transform(160, 128, 100, aspect).steps()
    assert common[0] / common[1] == pytest.approx(aspect)
    assert sorted([common[0] == pytest.approx(own[0]), common[1] == pytest.approx(own[1])]) == [False, True]
    assert common >= tuple(0.999 * step for step in own)


def test_numbers_survive_json() -> None:
    found = find(photo(club(2.0)))
    assert Pose(*found.values()) == found
