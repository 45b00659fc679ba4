"""One grey scale for a set: from tags that agree with the photos, from what the set reaches, or as set."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine.errors import UserError
from adrefine.ingestion import scales
from adrefine.ingestion.scales import DECLARED, FLOAT, INTEGER, Levels, Scale


def chosen(*photos: np.ndarray, bit_depth: int | None = None, declared: float | None = None) -> str:
    levels = {str(place): scales.measure(values, declared) for place, values in enumerate(photos)}
    (scale,) = scales.choose(levels, bit_depth).values()
    return str(scale)


def ramp(top: float, kind: type = np.uint16, low: float = 0) -> np.ndarray:
    return np.linspace(low, top, 4096).reshape(64, 64).astype(kind)


@pytest.mark.parametrize(
    ("photo", "scale"),
    [
        (ramp(240), "0..255"),
        (ramp(300), "0..1023"),
        (ramp(1023), "0..1023"),
        (ramp(4095), "0..4095"),
        (ramp(16000), "0..16383"),
        (ramp(65535), "0..65535"),
        (ramp(4095) << 4, "0..65520"),  # aligned to the top: white is white
        (ramp(1023) << 6, "0..65472"),
        (ramp(255, np.int32), "0..255"),
        (ramp(3_000_000_000, np.uint32), "0..3000000000"),
        (ramp(4095, np.int16, -20), "0..4095"),  # a little under 0: the dark frame was subtracted
        (ramp(3071, np.int16, -1024), "-1100..3100"),
        (ramp(0.95, np.float32), "0..1"),
        (ramp(1, np.float32, -1), "-1..1"),
        (ramp(230, np.float32), "0..255"),
        (ramp(4000, np.float64), "0..4095"),
        (ramp(35, np.float32, 31), "31..35"),  # degrees
        (ramp(29000, np.uint16, 27500), "27000..29000"),
        (ramp(0, np.uint16), "0..255"),
    ],
)
def test_the_scale_of_a_set_by_what_it_reaches(photo: np.ndarray, scale: str) -> None:
    assert chosen(photo) == scale
    assert chosen(photo, photo) == scale


def test_dead_pixels_and_overshoot_decide_nothing() -> None:
    photo = ramp(1000)
    photo[3, :4] = 65535
    assert chosen(photo, ramp(900)) == "0..1023"
    over = ramp(0.9, np.float32)
    over[5, 5] = 1.02
    assert chosen(over) == "0..1"


def test_a_dark_photo_gets_the_scale_of_the_set_and_a_lone_foreign_one_does_not_make_all_dark() -> None:
    assert chosen(ramp(4000), ramp(200)) == "0..4095"
    assert chosen(ramp(0.9, np.float32), ramp(250, np.float32)) == "0..255"
    others = [ramp(900 + place) for place in range(30)]
    assert chosen(*others, ramp(60000)) == "0..1023"
    assert chosen(*others, ramp(4000)) == "0..4095"


def test_tags_count_where_the_photos_agree_with_them() -> None:
    assert chosen(ramp(700), declared=4095) == "0..4095"
    assert chosen(ramp(5000), declared=4095) == "0..16383"
    levels = {
        "a": scales.measure(ramp(3000), 3000),
        "b": scales.measure(ramp(2000), 2000),
    }  # their own maxima
    assert scales.choose(levels)[INTEGER] == Scale(0, 4095)
    twelve = Levels(DECLARED, 0, 4095)
    assert scales.of(twelve, {INTEGER: Scale(0, 65535)}) == Scale(0, 4095)


def test_the_setting_wins_and_is_refused_where_the_photos_reach_further() -> None:
    assert chosen(ramp(900), bit_depth=12) == "0..4095"
    assert chosen(ramp(4095) << 4, bit_depth=12) == "0..65520"
    assert chosen(ramp(900, np.float32), bit_depth=12) == "0..4095"
    assert chosen(ramp(1, np.float32), bit_depth=12) == "0..1"
    with pytest.raises(UserError, match=r"dataset\.bit_depth = 10: 0 reaches 2998, 10 bits end at 1023"):
        chosen(ramp(3001), bit_depth=10)


def test_values_on_a_scale_and_its_text() -> None:
    values = np.array([[0, 1, 2047, 4095, 5000]], np.uint16)
    assert Scale(0, 4095).apply(values).tolist() == [[0, 0, 127, 255, 255]]
    assert Scale(0, 4095).apply(values, inverted=True).tolist() == [[255, 255, 128, 0, 0]]
    assert Scale(-1, 1).apply(np.array([[-1, 0, 1]], np.float32)).tolist() == [[0, 128, 255]]
    for scale in (Scale(0, 4095), Scale(-1, 1), Scale(0.25, 0.5)):
        assert scales.parse(str(scale)) == scale


def test_measuring_says_what_kind_it_is() -> None:
    assert scales.measure(ramp(9, np.float32)).kind == FLOAT
    found = scales.measure(ramp(4095) << 4)
    assert (found.kind, found.ones) == (INTEGER, 0xFFF0)
    assert Levels(**found.as_json()) == found


def with_pixels(photo: np.ndarray, value: float, count: int = 40) -> np.ndarray:
    photo = photo.copy()
    photo.flat[100 : 100 + count] = value
    return photo


@pytest.mark.parametrize("count", [3, 40, 2000])
@pytest.mark.parametrize(
    ("photo", "value", "scale"),
    [
        (ramp(4095, np.int16), -9999, "0..4095"),
        (ramp(4095, np.int16), -32768, "0..4095"),
        (ramp(4095), 65535, "0..4095"),
        (ramp(1023), 65535, "0..1023"),
        (ramp(16383), 65535, "0..16383"),
        (ramp(255, np.int32), 2**31 - 1, "0..255"),
        (ramp(60000, np.int32), -9999, "0..65535"),
        (ramp(0.95, np.float32), -9999, "0..1"),
        (ramp(0.95, np.float32), -1, "0..1"),
        (ramp(0.95, np.float32), 1e30, "0..1"),
        (ramp(0.95, np.float32), -3.4e38, "0..1"),
        (ramp(35, np.float32, 31), 0, "31..35"),
        (ramp(1, np.float32, -1), -9999, "-1..1"),
    ],
)
def test_what_says_that_nothing_was_measured_does_not_stretch_the_scale(
    photo: np.ndarray, value: float, scale: str, count: int
) -> None:
    torn = with_pixels(photo, value, count)
    assert chosen(torn) == chosen(torn, photo, torn) == scale
    levels = scales.settled({"": scales.measure(torn)})[""]
    if count > 4:  # fewer are no news, as hot pixels
        assert scales.apart(levels, scales.parse(scale)) == [pytest.approx(value)]
        assert chosen(torn, np.full_like(photo, value), photo) == scale  # a photo of nothing else


@pytest.mark.parametrize(
    ("photo", "value", "scale"),
    [
        (ramp(1000), 4095, "0..4095"),  # a lamp in a dark photo of 12 bits
        (ramp(300), 1023, "0..1023"),
        (ramp(0.3, np.float32), 1, "0..1"),
        (ramp(30000), 65535, "0..65535"),
        (ramp(3071, np.int16, -1024), -2000, "-2000..3100"),
        (ramp(240), 0, "0..255"),
    ],
)
def test_what_is_bright_or_dark_by_itself_still_counts(photo: np.ndarray, value: float, scale: str) -> None:
    torn = with_pixels(photo, value)
    assert chosen(torn) == chosen(photo, torn) == scale
    levels = scales.settled({"": scales.measure(torn)})[""]
    assert scales.apart(levels, scales.parse(scale)) == []


def test_the_set_decides_whether_a_value_stands_apart() -> None:
    dark = with_pixels(ramp(100), 3000)
    assert chosen(dark) == "0..255"
    assert chosen(dark, ramp(4000)) == "0..4095"
    assert scales.settled({"dark": scales.measure(dark), "": scales.measure(ramp(4000))})["dark"].high == 3000


def test_a_value_that_says_nothing_is_no_reason_to_refuse_the_setting() -> None:
    assert chosen(with_pixels(ramp(4095), 65535), bit_depth=12) == "0..4095"
    with pytest.raises(UserError, match="reaches 5000"):
        chosen(with_pixels(ramp(4095), 5000), bit_depth=12)
