"""GLASS and U-Flow on maps of places: what both promise, on made-up maps."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine import strategies
from adrefine.detectors.base import DetectorSettings, Images
from adrefine.detectors.glass.settings import Settings as Glass
from adrefine.detectors.on_places import OnPlaces
from adrefine.detectors.uflow.settings import Settings as UFlow
from adrefine.errors import UserError
from adrefine.features.store import write_rows
from adrefine.manifest import synthetic_id
from adrefine.metrics.detection import auroc
from adrefine.params import parse
from adrefine.paths import PLACES
from adrefine.strategies import scorers
from adrefine.strategies.engine import refine

N, ODD, SIDE, DIM = 40, 6, 4, 16
BOTH = pytest.mark.parametrize(
    "settings",
    [
        Glass(steps=300, hidden=32, learning_rate=3e-3, finetune_steps=5),
        UFlow(steps=25, blocks=2, batch_size=8, learning_rate=4e-3, finetune_steps=5),
    ],
    ids=["glass", "uflow"],
)


def write(folder: Path, side: int, dim: int) -> Images:
    """Photos, of which the last are odd at place 5, and twins that are odd at another place each."""
    rng = np.random.default_rng(0)
    names = [f"im{number:02d}" for number in range(N)]
    maps = rng.normal(size=(N, side**2, dim)) + rng.normal(size=(side**2, dim))
    maps[-ODD:, 5] += 4
    twins = maps + rng.normal(0, 0.1, maps.shape)
    for number in range(N):
        twins[number, rng.integers(side**2)] += 4 * rng.choice([-1, 1], dim)
    rows = [(values.astype(np.float16), np.zeros(2, np.float16)) for values in np.concatenate([maps, twins])]
    ids = [*names, *map(synthetic_id, names)]
    write_rows(folder / PLACES, ids, rows, {"maps": (side**2, dim), "pooled": (2,)}, {})
    return Images(tuple(names), folder)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return write(tmp_path_factory.mktemp("prepared"), SIDE, DIM)


@cache
def _trained(images: Images, settings: DetectorSettings) -> OnPlaces:
    detector = settings.create()
    assert isinstance(detector, OnPlaces)
    detector.fit(images.only(images.ids[: N - ODD]))
    return detector


def trained(images: Images, settings: DetectorSettings) -> OnPlaces:
    """Fitted on the photos that are not odd, once for all tests: a copy."""
    made = _trained(images, settings).clone()
    assert isinstance(made, OnPlaces)
    return made


@BOTH
def test_it_finds_odd_photos_and_where_they_are(
    images: Images, settings: DetectorSettings, tmp_path: Path
) -> None:
    detector = trained(images, settings)
    scores = detector.score(images).image
    assert auroc(np.arange(N) >= N - ODD, scores) > 0.9
    assert scores.min() > 0
    assert 0.5 < np.median(scores[: N - ODD]) < 2
    Image.new("L", (40, 40)).save(tmp_path / "p.png")
    odd = images.only(images.ids[-ODD:])
    maps = detector.maps(odd, [tmp_path / "p.png"] * ODD)
    assert maps is not None
    assert maps.shape == (ODD, 40, 40)
    row, column = np.unravel_index(np.median(maps, axis=0).argmax(), (40, 40))
    assert (row // 10, column // 10) == divmod(5, SIDE)


@BOTH
def test_saved_and_loaded_it_is_the_same_and_a_seed_gives_the_same_bytes(
    images: Images, settings: DetectorSettings, tmp_path: Path
) -> None:
    detector = trained(images, settings)
    detector.save(tmp_path / "a")
    other = settings.create()
    other.fit(images.only(images.ids[: N - ODD]))
    other.save(tmp_path / "b")
    again = type(settings)(seed=3).create()
    again.load(tmp_path / "a")
    np.testing.assert_array_equal(again.score(images).image, detector.score(images).image)
    alone = again.score(images.only(["im03"])).image
    assert alone[0] == detector.score(images).image[3]
    again.save(tmp_path / "c")
    for path in (tmp_path / "a").iterdir():
        assert {(tmp_path / folder / path.name).read_bytes() for folder in "abc"} == {path.read_bytes()}


@BOTH
def test_clones_learn_apart_keep_the_unit_and_warm_starts_do_not_pile_up(
    images: Images, settings: DetectorSettings
) -> None:
    detector = trained(images, settings)
    before, unit = detector.score(images).image, detector.unit
    copy = detector.clone()
    half = images.only(images.ids[:20])
    copy.fit(half)
    assert copy.unit == unit
    np.testing.assert_array_equal(detector.score(images).image, before)
    detector.fit(half, warm_start=True)
    once = detector.score(images).image
    detector.fit(half, warm_start=True)
    np.testing.assert_array_equal(detector.score(images).image, once)
    assert (once != before).any()


@BOTH
def test_it_can_be_refined(images: Images, settings: DetectorSettings) -> None:
    """A round of IRP on the photos and the odd ones among them."""
    params = parse({"refine": {"strategy": "irp", "max_rounds": 1, "scorer": "in_sample"}})
    detector = trained(images, settings)
    scorer = scorers.create(params.refine, detector, images.ids)
    outcome = refine(detector, images, strategies.create(params, N), scorer, params.refine)
    assert outcome.rounds == 1


@BOTH
def test_what_it_cannot_do_is_told(tmp_path: Path, settings: DetectorSettings) -> None:
    images = write(tmp_path / "small", 3, 16).only(["im00"])
    with pytest.raises(UserError, match="needs at least 2 training images, got 1"):
        settings.create().fit(images)
    with pytest.raises(UserError, match="is not trained"):
        settings.create().score(images)
    with pytest.raises(UserError, match=r"holds no (GLASS|U-Flow) model"):
        settings.create().load(tmp_path)


def test_an_odd_grid_is_seen_as_an_even_one_and_too_few_channels_are_told(tmp_path: Path) -> None:
    seven = write(tmp_path / "seven", 7, 16)
    detector = UFlow(steps=2).create()
    detector.fit(seven)
    assert detector.places(seven).shape == (N, 49)
    few = write(tmp_path / "few", 4, 8)
    with pytest.raises(UserError, match=r"at least 16 channels of places, not 8: raise embed\.places\.comp"):
        UFlow(steps=2).create().fit(few)
