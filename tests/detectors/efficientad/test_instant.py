"""EfficientAD's preset `instant`: the closed form against its definition, exact rounds, defects, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from adrefine.areas.region import Region
from adrefine.backbones.lite import Lite
from adrefine.detectors.base import Images
from adrefine.detectors.efficientad import instant
from adrefine.detectors.efficientad.instant import Instant
from adrefine.detectors.efficientad.maps import smooth
from adrefine.detectors.efficientad.settings import Settings
from adrefine.detectors.efficientad.student import Student
from adrefine.detectors.photos import Window, open_photos
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.params import parse
from adrefine.paths import PIXELS

LOW, DEEP = 3, 4


def untrained(**changes: int) -> Instant:
    detector = Settings(preset="instant", side=64, **changes).create()
    assert isinstance(detector, Instant)
    return detector


@pytest.fixture(scope="module")
def good(striped: Images) -> Images:
    return striped.only(striped.ids[:10])


@pytest.fixture(scope="module")
def fitted(good: Images) -> Instant:
    detector = untrained()
    detector.fit(good)
    return detector


@pytest.fixture(scope="module")
def learned(good: Images) -> Instant:
    """With a network."""
    detector = untrained(steps=60)
    detector.fit(good)
    return detector


def drawn(count: int) -> np.ndarray:
    """(count, LOW + DEEP): deep channels are mixtures of the low ones, and noise."""
    rng = np.random.default_rng(5)
    low = rng.normal(2, [1, 5, 0.2], (count, LOW))
    deep = low @ rng.normal(size=(LOW, DEEP)) + rng.normal(0, [1, 2, 0.1, 4], (count, DEEP))
    return np.hstack([low, deep])


def of_rows(values: np.ndarray) -> Student:
    row = np.hstack([np.ones((len(values), 1)), values])
    return Student.of(row.T @ row, LOW)


def test_the_student_is_the_ridge_regression_of_the_standardized_channels() -> None:
    """By least squares on rows, with the ridge as further rows; errors whitened by their own covariance."""
    values = drawn(400)
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    ridge = np.sqrt(1e-3 * len(z)) * np.eye(LOW)
    further = np.vstack([z[:, LOW:], np.zeros((LOW, DEEP))])
    weights = np.linalg.lstsq(np.vstack([z[:, :LOW], ridge]), further, rcond=None)[0]
    errors = z[:, LOW:] - z[:, :LOW] @ weights
    covariance = errors.T @ errors / len(errors)
    power = np.trace(covariance) / DEEP
    inverse = np.linalg.inv(covariance + 0.01 * power * np.eye(DEEP))
    wanted = np.einsum("ni,ij,nj->n", errors, inverse, errors) / DEEP
    student = of_rows(values)
    got = np.square(student.white(values)).mean(axis=1)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    assert student.unexplained == pytest.approx(power)


def test_errors_are_means_over_neighbours_in_rows() -> None:
    values = np.random.default_rng(5).random((5, 5))
    assert smooth(values)[2, 3] == pytest.approx(values[1:4, 2:5].mean())
    assert smooth(values)[0, 0] == pytest.approx(np.pad(values, 1, mode="edge")[:3, :3].mean())


def test_the_backbone_is_blocks_2_4_and_10_of_lite0_on_a_photo_mirrored_by_32_pixels(good: Images) -> None:
    photos = open_photos(good.prepared / PIXELS, 64, False, 0.0)
    path = photos.path(good.ids[0])
    side = np.pad(photos.pixels(Window(path)).numpy(), ((0, 0), (32, 32), (32, 32)), mode="reflect")
    with torch.no_grad():
        low, middle, high = Lite(0, (2, 4, 10)).freeze()(torch.from_numpy(side)[None])
    low = low[0].unflatten(1, (16, 2)).unflatten(3, (16, 2)).mean(dim=(2, 4))
    high = F.interpolate(high, 16, mode="bilinear")[0]
    wanted = torch.cat([low, middle[0], high])[:, 4:12, 4:12].flatten(1).T
    got = instant.Backbone(good.prepared / PIXELS).of_photo(photos, path)
    assert got.shape == (64, 24 + 40 + 112)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=2e-3, atol=2e-3)


def test_with_steps_a_network_learns_what_the_matrix_leaves(
    learned: Instant, fitted: Instant, good: Images
) -> None:
    """It leaves less than the matrix; what is left is whitened by its own covariance, over 3 x 3."""
    assert learned.rest is not None
    assert fitted.rest is None
    matrix = np.concatenate(list(fitted._left(good)))
    power = np.square(matrix).mean()
    assert learned.log[0]["left"] < 0.97 * power
    values = next(learned._values(good.prepared, good.ids[:1]))
    student, net = learned.student, learned.rest.net
    assert student is not None
    low = (values[:, :24] - values_mean(learned)[:24]) / student.scale
    with torch.no_grad():
        told = net(torch.from_numpy(low.T.reshape(1, 24, 8, 8)).float())[0].flatten(1).T.double().numpy()
    left = student.white(values) - told
    everything = np.concatenate([left_of(learned, good, name) for name in good.ids])
    covariance = everything.T @ everything / len(everything)
    lower = np.linalg.cholesky(covariance + 0.01 * np.trace(covariance) / 152 * np.eye(152))
    square = np.square(np.linalg.solve(lower, left.T)).mean(axis=0).reshape(8, 8)
    (error,) = learned._errors(good.only(good.ids[:1]))
    np.testing.assert_allclose(error, smooth(square), rtol=1e-3)


def values_mean(detector: Instant) -> np.ndarray:
    """Means of the channels over all photos and positions."""
    return detector.sums[0, 1:] / detector.sums[0, 0]


def left_of(detector: Instant, images: Images, name: str) -> np.ndarray:
    """What matrix and network leave of a photo, not whitened."""
    return next(detector._left(images.only([name])))


def test_steps_go_on_from_the_last_cold_fit_and_start_afresh_when_cold(
    learned: Instant, good: Images
) -> None:
    warm, cold = learned.clone(), learned.clone()
    warm.fit(good, warm_start=True)
    warm.fit(good.only(good.ids[:9]), warm_start=True)
    once = learned.clone()
    once.fit(good.only(good.ids[:9]), warm_start=True)
    np.testing.assert_array_equal(warm.score(good).image, once.score(good).image)
    cold.fit(good)
    first = [one.rest.net[0].weight for one in (learned, warm, cold) if one.rest]
    assert torch.equal(first[0], first[2])
    assert 0 < (first[1] - first[0]).norm() < 0.06 * first[0].norm()
    np.testing.assert_array_equal(cold.score(good).image, learned.score(good).image)


def test_with_steps_defects_stand_out_and_files_are_the_same(
    learned: Instant, good: Images, striped: Images, tmp_path: Path
) -> None:
    scores = learned.score(striped).image
    assert scores[10:].min() > 3 * scores[:10].max()
    again = untrained(steps=60)
    again.fit(good)
    again.save(tmp_path / "again")
    learned.save(tmp_path / "first")
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    loaded = untrained()
    loaded.load(tmp_path / "first")
    np.testing.assert_array_equal(loaded.score(striped).image, scores)
    fewer = good.only(good.ids[:8])
    loaded.fit(fewer, warm_start=True)
    again.fit(fewer, warm_start=True)
    np.testing.assert_array_equal(loaded.score(striped).image, again.score(striped).image)


def test_a_model_from_before_is_read(fitted: Instant, striped: Images, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    state = torch.load(tmp_path / "efficientad.pt", weights_only=True)
    del state["scale"]
    torch.save(state, tmp_path / "efficientad.pt")
    loaded = untrained()
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(striped).image, fitted.score(striped).image)


def test_what_is_usual_at_a_place_is_said_by_the_least_odd_four_fifths(
    fitted: Instant, good: Images, striped: Images
) -> None:
    """Photos whose largest deviation from all is smallest. Mean and deviation at each place, both over 3 x 3,
    the mean deviation added."""
    errors = np.stack(list(fitted._errors(good)))
    odd = ((errors - errors.mean(axis=0)) / errors.std(axis=0)).reshape(10, -1).max(axis=1)
    errors = errors[[number for number in range(10) if odd[number] <= sorted(odd)[7]]]
    windows = (np.pad(one, 1, mode="edge") for one in (errors.mean(axis=0), errors.std(axis=0)))
    mean, spread = (
        np.lib.stride_tricks.sliding_window_view(one, (3, 3)).mean(axis=(2, 3)) for one in windows
    )
    np.testing.assert_allclose(fitted.usual, mean, rtol=1e-6)
    np.testing.assert_allclose(fitted.spread, spread + spread.mean(), rtol=1e-5)
    (error,) = fitted._errors(striped.only(striped.ids[11:12]))
    score = ((error - fitted.usual) / fitted.spread).max()
    assert fitted.score(striped).image[11] == pytest.approx(score, rel=1e-5)


def test_defects_stand_out_and_the_map_says_where(fitted: Instant, striped: Images) -> None:
    scores = fitted.score(striped).image
    assert scores[10:].min() > 3 * scores[:10].max()
    files = [Path(f"{striped.prepared.parent}/own/{name}.png") for name in striped.ids[10:]]
    maps = fitted.maps(striped.only(striped.ids[10:]), files)
    assert maps is not None
    assert maps.shape == (2, 64, 64)
    for one in maps:
        row, column = np.unravel_index(one.argmax(), one.shape)
        assert 20 <= row < 36
        assert 24 <= column < 40


def test_a_photo_scores_the_same_alone_and_among_others(fitted: Instant, striped: Images) -> None:
    together = fitted.score(striped).image
    alone = [fitted.score(striped.only([name])).image[0] for name in striped.ids]
    assert alone == together.tolist()


def test_a_warm_fit_is_the_cold_one(fitted: Instant, good: Images, striped: Images) -> None:
    warm = untrained()
    warm.fit(striped)
    assert warm.fit(good, warm_start=True)[0] == pytest.approx(fitted.log[0])
    np.testing.assert_allclose(warm.score(striped).image, fitted.score(striped).image, rtol=1e-6)


def test_a_defect_among_ten_photos_does_not_become_usual(fitted: Instant, striped: Images) -> None:
    """The most odd fifth of the photos has no say in what is usual."""
    dirty = untrained()
    dirty.fit(striped.only((*striped.ids[:9], striped.ids[10])))
    scores = dirty.score(striped).image
    assert scores[10] > 2 * scores[:9].max()
    assert scores[11] > 2 * scores[:9].max()


def test_the_same_bytes_and_scores_come_back(
    fitted: Instant, good: Images, striped: Images, tmp_path: Path
) -> None:
    again = untrained()
    again.fit(good)
    for detector, name in ((fitted, "a"), (again, "b")):
        detector.save(tmp_path / name)
    loaded = untrained()
    loaded.load(tmp_path / "a")
    loaded.save(tmp_path / "c")
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert files == {"efficientad.pt", "settings.json", "training_log.csv"}
    for name in files:
        assert len({(tmp_path / folder / name).read_bytes() for folder in "abc"}) == 1
    assert loaded.score(striped).image.tolist() == fitted.score(striped).image.tolist()
    loaded.fit(striped, warm_start=True)  # goes on from the sums in the file


def test_the_score_is_the_mean_of_the_share_that_is_asked_and_of_a_model_from_before_the_largest(
    good: Images, striped: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = untrained(top=0.1)
    detector.fit(good)
    deviations = np.stack(list(detector._deviations(striped))).reshape(len(striped), 64)
    largest = -np.sort(-deviations, axis=1)
    np.testing.assert_allclose(detector.score(striped).image[10:], largest[10:, :6].mean(axis=1), rtol=1e-6)
    detector.save(tmp_path)
    told = read_json(tmp_path / "settings.json")
    write_json(
        tmp_path / "settings.json", {key: told[key] for key in told if key not in ("top", "normalize")}
    )
    before = untrained()
    before.load(tmp_path)
    np.testing.assert_allclose(before.score(striped).image[10:], largest[10:, 0], rtol=1e-6)
    inside = np.zeros((64, 64), bool)
    inside[:, :40] = True
    monkeypatch.setattr(detector._photos(striped.prepared), "region", Region(inside))
    within = -np.sort(-deviations.reshape(-1, 8, 8)[:, :, :5].reshape(-1, 40), axis=1)
    np.testing.assert_allclose(detector.score(striped).image[10:], within[10:, :4].mean(axis=1), rtol=1e-6)


def test_a_clone_is_independent(fitted: Instant, good: Images, striped: Images) -> None:
    before = fitted.score(good).image.tolist()
    fitted.clone().fit(striped, warm_start=True)
    assert fitted.score(good).image.tolist() == before


def test_outside_the_region_nothing_counts(
    fitted: Instant, striped: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = np.zeros((64, 64), bool)
    inside[:, 48:] = True  # without the spot
    photos = fitted._photos(striped.prepared)
    everywhere = fitted.score(striped).image
    monkeypatch.setattr(photos, "region", Region(inside))
    within = fitted.score(striped).image
    assert (within <= everywhere).all()
    assert within[10:].max() < everywhere[10:].min()


def test_places_outside_the_region_teach_nothing(good: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = np.zeros((64, 64), bool)
    inside[:, :40] = True
    everywhere = untrained(steps=2)
    everywhere.fit(good)
    monkeypatch.setattr(everywhere._photos(good.prepared), "region", Region(inside))
    detector = untrained(steps=2)
    detector.fit(good)
    photos, backbone = detector._photos(good.prepared), instant._backbone(good.prepared)
    values = [backbone.of_photo(photos, photos.path(one)).reshape(8, 8, -1)[:, :5] for one in good.ids]
    kept = np.concatenate([one.reshape(40, -1) for one in values])
    np.testing.assert_allclose(detector.student.mean, kept.mean(axis=0), rtol=1e-9)
    errors = np.concatenate([left.reshape(8, 8, -1)[:, :5].reshape(40, -1) for left in detector._left(good)])
    of_all = instant.Rest(backbone.low, backbone.deep)
    of_all.whiten(errors.T @ errors / len(errors))
    np.testing.assert_allclose(detector.rest.white.cpu(), of_all.white, rtol=1e-4, atol=1e-6)
    found = instant.calmest(np.stack(list(detector._errors(good))))
    spread = smooth(found.std(axis=0))
    np.testing.assert_allclose(detector.spread, spread + spread[:, :5].mean() + 1e-9, rtol=1e-9)
    everywhere.fit(good, warm_start=True)  # its sums are of other places: it learns afresh
    np.testing.assert_allclose(everywhere.student.mean, detector.student.mean, rtol=1e-9)


def test_a_model_of_other_backbone_weights_is_refused(fitted: Instant, good: Images) -> None:
    other = fitted.clone()
    other.digest = "0" * 64
    with pytest.raises(UserError, match=r"other weights of EfficientNet-Lite0.*train it anew"):
        other.score(good)


def test_one_photo_or_no_training_is_told(striped: Images) -> None:
    with pytest.raises(UserError, match="at least 2 training images, got 1"):
        untrained().fit(striped.only(striped.ids[:1]))
    with pytest.raises(UserError, match="not trained"):
        untrained().score(striped)


def test_settings_of_the_preset() -> None:
    params = parse({"detector": "efficientad", "efficientad": {"preset": "instant"}})
    assert not params.chosen_detector.learns_twins
    assert params.efficientad.side == 256
    assert Settings(preset="short").learns_twins
    assert not Settings(preset="paper").learns_twins  # it draws its own patches of noise
    with pytest.raises(UserError, match=r"teacher` = pdn needs `efficientad\.steps` of 1 or more"):
        parse({"efficientad": {"preset": "instant", "teacher": "pdn"}})
    assert "batch_size" in Settings(preset="instant").unread
    assert "batch_size" not in Settings(preset="instant", steps=5).unread
    with pytest.raises(UserError, match=r"efficientad\.tiles` = true needs `efficientad\.teacher` = pdn"):
        parse({"efficientad": {"preset": "instant", "tiles": True}})
