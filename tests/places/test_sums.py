import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from adrefine.places.sums import Sums, photo_scores

PLACES, CHANNELS = 5, 6


def _maps(n, seed=0):
    """Correlated maps (n, PLACES, CHANNELS) in float16, another mean and spread at each place and channel."""
    draw = np.random.default_rng(seed)
    mixed = draw.standard_normal((n, PLACES, CHANNELS)) @ draw.standard_normal((CHANNELS, CHANNELS))
    return (mixed * draw.uniform(0.1, 4, (PLACES, CHANNELS)) + draw.normal(0, 5, CHANNELS)).astype(np.float16)


def _literally(train, seen, shrinkage, ridge, standardize):
    """PaDiM eq. 1 and 2, one place and one photo at a time, on the shrunken covariance."""
    train, seen = train.astype(float), seen.astype(float)
    if standardize:
        scale = train.reshape(-1, CHANNELS).std(axis=0)
        train, seen = train / scale, seen / scale
    found = np.zeros(seen.shape[:2])
    for place in range(PLACES):
        x = train[:, place]
        sigma = np.cov(x, rowvar=False)
        sigma = sigma + (shrinkage * np.trace(sigma) / CHANNELS + ridge) * np.eye(CHANNELS)
        inverse = np.linalg.inv(sigma)
        for row, y in enumerate(seen[:, place]):
            found[row, place] = (y - x.mean(axis=0)) @ inverse @ (y - x.mean(axis=0))
    return found


def _same(one, other):
    for name in ("weight", "first", "second"):
        assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    ("shrinkage", "ridge", "standardize"), [(0.1, 0.0, True), (0.0, 0.01, False), (0.3, 0.2, True)]
)
@pytest.mark.parametrize("n", [4, 30])  # fewer photos than channels, and more
def test_distances_are_those_of_the_paper_written_out(n, shrinkage, ridge, standardize):
    train, seen = _maps(n, 1), _maps(9, 2)

    model = Sums.of(train).model(shrinkage, ridge, standardize)

    assert_allclose(model.distances(seen), _literally(train, seen, shrinkage, ridge, standardize), rtol=1e-7)


def test_log_density_is_that_of_scipy_in_the_units_of_the_maps():
    from scipy.stats import multivariate_normal

    train, seen = _maps(40, 3).astype(float), _maps(7, 4).astype(float)
    model = Sums.of(train).model(0.1)

    expected = []
    for place in range(PLACES):
        sigma = (model.lower[place] @ model.lower[place].T) * np.outer(model.scale, model.scale)
        law = multivariate_normal(train[:, place].mean(axis=0), sigma)
        expected.append(law.logpdf(seen[:, place]))
    assert_allclose(model.log_density(seen), np.transpose(expected), rtol=1e-9)


def test_sums_of_a_union_are_the_sum_of_the_sums_whatever_the_parts():
    maps = _maps(150)  # more than are taken in at once

    whole = Sums.of(maps)

    _same(Sums.of(maps[:1]) + Sums.of(maps[1:97]) + Sums.of(maps[97:]), whole)
    _same(whole - Sums.of(maps[20:50]), Sums.of(np.delete(maps, range(20, 50), axis=0)))


def test_what_was_removed_was_never_there():
    maps = _maps(80)
    sums = Sums.of(maps)

    sums.remove(maps[:30])
    sums.add(maps[10:30])

    expected = Sums.of(maps[10:])
    _same(sums, expected)
    seen = _maps(5, 9)
    assert_allclose(sums.model(0.1).distances(seen), expected.model(0.1).distances(seen), rtol=1e-9)


def test_weights_of_0_and_1_choose_photos_and_places():
    maps = _maps(20)
    chosen = np.random.default_rng(0).random((20, PLACES)) < 0.6

    sums = Sums.of(maps, chosen)

    for place in range(PLACES):
        alone = Sums.of(maps[chosen[:, place], place : place + 1])
        assert sums.weight[place] == chosen[:, place].sum()
        assert_allclose(sums.second[place], alone.second[0], rtol=1e-12, atol=1e-9)
    _same(Sums.of(maps, chosen[:, 0]), Sums.of(maps[chosen[:, 0]]))


def test_a_weight_of_2_is_the_photo_twice():
    maps = _maps(12)

    _same(Sums.of(maps, np.where(np.arange(12) < 4, 2, 1)), Sums.of(np.concatenate([maps, maps[:4]])))


def test_adding_changes_the_sums_themselves_and_no_others():
    maps = _maps(12)
    sums = Sums.of(maps[:6])
    other = sums + Sums.of(maps[6:])
    before = other.first.copy()

    assert sums.add(maps[6:]) is sums

    _same(sums, other)
    assert_array_equal(other.first, before)


def test_a_constant_channel_and_a_place_that_never_changes_leave_distances_finite():
    maps = _maps(10)
    maps[:, :, 2] = 7.0
    maps[:, 3] = maps[0, 3]

    model = Sums.of(maps).model(0.1)

    away = model.distances(maps)
    assert np.isfinite(away).all()
    assert_allclose(away[:, 3], 0, atol=1e-6)


def test_the_same_photos_give_the_same_bits():
    maps, seen = _maps(100), _maps(70, 5)

    first, second = (Sums.of(maps).model(0.1).distances(seen) for _ in range(2))

    assert_array_equal(first, second)


def test_a_photo_scores_by_the_mean_of_its_most_foreign_places():
    distances = np.array([[1.0, 9.0, 2.0, 3.0], [4.0, 4.0, 4.0, 4.0]])

    assert_allclose(np.exp(photo_scores(distances, 0.5)), [6.0, 4.0])
    assert_allclose(np.exp(photo_scores(distances, 0.01)), [9.0, 4.0])  # one place at least
