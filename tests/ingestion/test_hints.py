"""Hints at slips of the camera: beside the others of the set, never by a number of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from adrefine.ingestion import hints


def surface(seed: int, roughness: float) -> Image.Image:
    """A grey surface with grain."""
    values = np.random.default_rng(seed).normal(120, roughness, (96, 96))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def table(pictures: list[Image.Image], sizes: dict[int, tuple[int, int]] | None = None) -> pd.DataFrame:
    rows = [
        {"image_id": f"{number:03d}", "source": f"{number}.png", **hints.measure(np.asarray(picture))}
        | dict(zip(("width", "height"), (sizes or {}).get(number, (96, 96)), strict=True))
        for number, picture in enumerate(pictures)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("roughness", [1.5, 10, 40])
def test_smooth_parts_are_not_all_blurred_and_a_blurred_one_is(roughness: float) -> None:
    pictures = [surface(seed, roughness) for seed in range(60)]
    assert hints.find(table(pictures)).empty
    pictures[7] = pictures[7].filter(ImageFilter.GaussianBlur(2))
    found = hints.find(table(pictures))
    assert found.to_numpy().tolist() == [["007", "7.png", "blurred, beside the others"]]


def test_exposure_and_size_beside_the_others() -> None:
    pictures = [surface(seed, 10) for seed in range(60)]
    pictures[3], pictures[4] = (
        ImageEnhance.Brightness(pictures[n]).enhance(f) for n, f in ((3, 0.5), (4, 1.6))
    )
    found = hints.find(table(pictures, {5: (200, 96)}))
    assert dict(found[["image_id", "hint"]].to_numpy().tolist()) == {
        "003": "darker than the others",
        "004": "brighter than the others",
        "005": "of another size than most (96 x 96)",
    }
    (line,) = hints.warnings(found)
    assert line.startswith("hints at slips of the camera in 3 photos: 1 brighter than the others, 1 darker")


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_photo_that_ends_before_its_edge_where_others_do_not(shade: int, turns: int) -> None:
    pictures = [np.asarray(surface(seed, 10)).copy() for seed in range(60)]
    pictures[7] = np.rot90(pictures[7], turns).copy()
    pictures[7][80:] = shade
    pictures[7] = np.rot90(pictures[7], -turns)
    found = hints.find(table([Image.fromarray(one) for one in pictures]))
    assert ["007", "7.png", "of one shade from an edge on (cut short?)"] in found.to_numpy().tolist()
    (line,) = hints.warnings(found)
    assert "1 of one shade from an edge on" in line
    for one in pictures:  # all of them have a border
        one[: 5 + one[50, 50] % 9] = 0
    assert "of one shade" not in str(hints.find(table([Image.fromarray(one) for one in pictures])))


def test_sets_that_vary_and_small_ones_say_nothing() -> None:
    varied = [ImageEnhance.Brightness(surface(seed, 10)).enhance(0.4 + seed / 50) for seed in range(60)]
    assert hints.find(table(varied, {seed: (96 + seed, 96) for seed in range(60)})).empty
    few = [surface(seed, 10) for seed in range(8)] + [surface(9, 10).filter(ImageFilter.GaussianBlur(3))]
    assert hints.find(table(few)).empty
    assert hints.warnings(hints.find(table(few))) == []
