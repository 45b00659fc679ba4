"""The linear head: the mean loss of the stream, what real defects add, and what is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adrefine.detectors.base import Images
from adrefine.detectors.mixed import logistic
from adrefine.detectors.mixed.head import MixedHead
from adrefine.detectors.mixed.settings import Settings
from adrefine.detectors.padim.settings import Settings as Padim
from detectors.mixed import drawn


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return drawn.write(tmp_path_factory.mktemp("prepared"))


def learned(everything: Images, known: int, weight: float = 1.0, **settings: object) -> MixedHead:
    """Fitted on 40 good photos, with `known` real defects."""
    detector = Settings(**settings).create()
    assert isinstance(detector, MixedHead)
    detector.know(everything.only(f"r{n:02d}" for n in range(known)), weight)
    detector.fit(everything.only(f"g{n:02d}" for n in range(40)))
    return detector


def test_real_defects_teach_what_the_gaussians_do_not_see(everything: Images) -> None:
    found = [drawn.auroc_of(learned(everything, known), everything) for known in (0, 5, 20)]
    assert found[0] + 0.2 < found[1] < found[2]
    assert drawn.auroc_of(learned(everything, 20, synthetic=0.0), everything) > found[0] + 0.2


def test_every_synthetic_defect_of_a_photo_teaches(everything: Images, tmp_path: Path) -> None:
    both = drawn.write(tmp_path, second=True)
    one, two = (drawn.auroc_of(learned(images, 0, synthetic=0.5), images) for images in (everything, both))
    assert two > one + 0.1


def test_without_any_defect_it_ranks_as_padim(everything: Images) -> None:
    padim = Padim().create()
    photos = everything.only(f"g{n:02d}" for n in range(40))
    padim.fit(photos)
    mixed = learned(everything, 0, synthetic=0.0)
    mixed.head.slope[:] = 0  # type: ignore[union-attr]
    mixed.head.logit, mixed.head.both = (0.0, 1.0), (0.0, 1.0)  # type: ignore[union-attr]
    mine, its = mixed.score(everything).image, padim.score(everything).image
    np.testing.assert_array_equal(np.argsort(mine), np.argsort(its))


def test_a_usual_photo_scores_about_one(everything: Images) -> None:
    scores = learned(everything, 10).score(everything.only(f"g{n:02d}" for n in range(60))).image
    assert 0.5 < np.median(scores) < 1.5
    assert scores.min() > 0


def test_few_photos_make_it_the_gaussians_alone(everything: Images) -> None:
    detector = Settings().create()
    detector.fit(everything.only(["g00", "g01", "g02"]))
    assert (detector.score(everything).image > 0).all()


def test_a_known_photo_that_trains_counts_as_good_alone(everything: Images) -> None:
    """It cannot be both: what is fitted on is believed to be good."""
    one, other = Settings().create(), Settings().create()
    photos = everything.only([*(f"g{n:02d}" for n in range(40)), "r00"])
    one.know(everything.only(["r00"]))
    one.fit(photos)
    other.fit(photos)
    np.testing.assert_array_equal(one.score(everything).image, other.score(everything).image)


def test_trust_splits_the_weight_of_real_defects(everything: Images) -> None:
    """Knowing again, surer, counts; the weights of all real defects together stay those of `inject`."""
    doubted = learned(everything, 5, weight=0.5)
    np.testing.assert_allclose(
        doubted.score(everything).image, learned(everything, 5).score(everything).image, rtol=1e-9
    )
    doubted.know(everything.only(["r00"]))
    assert doubted.defects == {"r00": 1.0} | {f"r{n:02d}": 0.5 for n in range(1, 5)}


def test_a_clone_learns_apart_and_a_warm_start_keeps_the_head(everything: Images) -> None:
    detector = learned(everything, 5)
    before, copy = detector.score(everything).image, detector.clone()
    copy.know(everything.only(["r09"]))
    copy.fit(everything.only(f"g{n:02d}" for n in range(20)))
    np.testing.assert_array_equal(detector.score(everything).image, before)
    assert "r09" not in detector.defects
    slope = detector.head.slope.copy()  # type: ignore[union-attr]
    detector.fit(everything.only(f"g{n:02d}" for n in range(39)), warm_start=True)
    np.testing.assert_array_equal(detector.head.slope, slope)  # type: ignore[union-attr]
    assert (detector.score(everything).image != before).any()


def test_saved_and_loaded_it_is_the_same(everything: Images, tmp_path: Path) -> None:
    detector = learned(everything, 5)
    detector.save(tmp_path / "a")
    again = Settings(fraction=0.5).create()
    again.load(tmp_path / "a")
    assert isinstance(again, MixedHead)
    assert again.defects == detector.defects
    np.testing.assert_array_equal(again.score(everything).image, detector.score(everything).image)
    again.save(tmp_path / "b")
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_the_regression_is_at_the_minimum() -> None:
    """Its gradient vanishes, also where the classes are far apart."""
    rng = np.random.default_rng(1)
    for gap in (0.5, 20):
        x = np.concatenate([rng.normal(size=(50, 3)), rng.normal(size=(8, 3)) + gap])
        defect, weight = np.repeat([0.0, 1.0], [50, 8]), np.repeat([0.9 / 50, 0.1 / 8], [50, 8])
        slope, level = logistic.fit(x, defect, weight, 0.03)
        wrong = weight * (1 / (1 + np.exp(-(x @ slope + level))) - defect)
        np.testing.assert_allclose(x.T @ wrong + 0.03 * slope, 0, atol=1e-6)
