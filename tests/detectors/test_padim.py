"""PaDiM: exact updates, scores written out, and what is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine import strategies
from adrefine.detectors.base import Images
from adrefine.detectors.padim.detector import Padim
from adrefine.detectors.padim.settings import Settings
from adrefine.errors import UserError
from adrefine.features.store import write_rows
from adrefine.manifest import synthetic_id
from adrefine.params import parse
from adrefine.paths import PLACES
from adrefine.strategies import scorers
from adrefine.strategies.engine import refine

N, SIDE, DIM, POOLED = 40, 3, 4, 6


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Photos and twins; the last three photos are odd at one place, as every twin is at another."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    maps, pooled = rng.normal(size=(N, SIDE**2, DIM)), rng.normal(size=(N, POOLED))
    maps[-3:, 5] += 6
    pooled[-3:, 0] += 3
    twin_maps, twin_pooled = maps + rng.normal(0, 0.1, maps.shape), pooled + rng.normal(0, 0.1, pooled.shape)
    twin_maps[:, 2] += 5
    ids = [f"im{number:02d}" for number in range(N)]
    both = [*zip(maps, pooled, strict=True), *zip(twin_maps, twin_pooled, strict=True)]
    rows = [(a.astype(np.float16), b.astype(np.float16)) for a, b in both]
    names = [*ids, *map(synthetic_id, ids)]
    write_rows(folder / PLACES, names, rows, {"maps": maps.shape[1:], "pooled": (POOLED,)}, {})
    return Images(tuple(ids), folder)


def trained(images: Images, **settings: object) -> Padim:
    detector = Settings(**settings).create()
    detector.fit(images)
    return detector


def test_places_alone_are_the_equations_of_the_paper(images: Images) -> None:
    """Mean, Σ divided by n - 1, Σ + 0.01 I, Mahalanobis distance, the largest place (PaDiM eq. 1 and 2)."""
    detector = trained(images, preset="paper")
    maps = np.load(images.prepared / PLACES / "maps.npy")[:N].astype(float)
    wanted = np.empty((N, SIDE**2))
    for place in range(SIDE**2):
        x = maps[:, place]
        inverse = np.linalg.inv(np.cov(x.T) + 0.01 * np.eye(DIM))
        away = x - x.mean(axis=0)
        wanted[:, place] = np.einsum("nd,de,ne->n", away, inverse, away)
    np.testing.assert_allclose(detector.score(images).image, wanted.max(axis=1), rtol=1e-8)


def test_the_quartiles_rule_refines_it_though_there_is_nothing_to_meta_learn(images: Images) -> None:
    settings = parse({"refine": {"strategy": "meta_iqr", "folds": 4}, "meta_iqr": {"scope": "dataset"}})
    learning = settings.chosen_strategy.training(settings.refine)
    model = trained(images)
    scorer = scorers.create(settings.refine, model, images.ids, learning)
    rule = strategies.create(settings, len(images))
    found = refine(model, images, rule, scorer, settings.refine, training=learning)
    gone = set(found.images.query("kept == 0")["image_id"])
    assert gone >= set(images.ids[-3:])
    assert len(gone) < N / 4
    assert model.ids == set(images.ids) - gone


@pytest.mark.parametrize("pooled", [True, False])
def test_a_warm_fit_is_a_cold_fit_to_rounding(images: Images, pooled: bool) -> None:
    detector, left = trained(images, pooled=pooled), images.only(images.ids[:30])
    before = detector.score(images).image
    detector.fit(left, warm_start=True)
    cold = trained(left, pooled=pooled)
    for name, part in detector.parts.items():
        np.testing.assert_allclose(part.sums.second, cold.parts[name].sums.second, atol=1e-9)
    detector.fit(images, warm_start=True)
    np.testing.assert_allclose(detector.score(images).image, before, rtol=1e-9)


def test_a_warm_fit_after_weights_learns_afresh(images: Images, tmp_path: Path) -> None:
    """What a photo weighed is not kept, so that it cannot be taken out again; saved or not."""
    weighed, left = Settings().create(), images.only(images.ids[:-3])
    weighed.fit(images.weighing(dict.fromkeys(images.ids, 1.0) | dict.fromkeys(images.ids[-3:], 0.2)))
    weighed.save(tmp_path)
    again = Settings().create()
    again.load(tmp_path)
    for detector in (weighed, again):
        detector.fit(left, warm_start=True)
        np.testing.assert_array_equal(detector.score(images).image, trained(left).score(images).image)


def test_a_usual_photo_scores_about_one_and_odd_ones_more(images: Images) -> None:
    scores = trained(images.only(images.ids[:-3])).score(images).image
    assert 0.4 < np.median(scores[:-3]) < 1.2
    assert scores[-3:].min() > scores[:-3].max()


def test_weights_are_what_each_part_tells_of_twins(images: Images) -> None:
    """The twins' defect is in the maps alone: the places earn nearly all."""
    (row,) = trained(images).fit(images)
    assert row["weight_places"] + row["weight_pooled"] == pytest.approx(1)
    assert row["weight_places"] > 0.9


def test_it_never_learns_of_other_photos(images: Images) -> None:
    left = images.only(images.ids[:20])
    np.testing.assert_array_equal(
        trained(left).score(images).image, trained(Images(left.ids[::-1], left.prepared)).score(images).image
    )


def test_saved_and_loaded_it_is_the_same(images: Images, tmp_path: Path) -> None:
    detector = trained(images)
    for name in ("a", "b"):
        detector.save(tmp_path / name)
    again = Settings().create()
    again.load(tmp_path / "a")
    np.testing.assert_array_equal(again.score(images).image, detector.score(images).image)
    again.save(tmp_path / "c")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    for name in ("b", "c"):
        assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == files


def test_maps_point_at_the_odd_place_and_have_the_photos_size(images: Images, tmp_path: Path) -> None:
    Image.new("L", (90, 60)).save(tmp_path / "photo.png")
    detector = trained(images.only(images.ids[:-3]))
    (found,) = detector.maps(images.only(images.ids[-1:]), [tmp_path / "photo.png"])
    assert found.shape == (60, 90)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (row // 20, column // 30) == (1, 2)  # place 5 of 3 x 3


def test_two_photos_or_more_and_a_model_are_needed(images: Images) -> None:
    with pytest.raises(UserError, match="at least 2"):
        trained(images.only(images.ids[:1]))
    with pytest.raises(UserError, match="not trained"):
        Settings().create().score(images)
    assert trained(images.only(images.ids[:3])).score(images).image.min() > 0
