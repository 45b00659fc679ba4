"""Evidence on generated vectors: what it must find, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance

from adrefine.metrics.detection import auroc
from adrefine.strategies import evidence
from fakes import vectors


@pytest.mark.parametrize("kind", [evidence.discriminator, evidence.density, evidence.consensus])
@pytest.mark.parametrize("hidden", [8, 32])
def test_hidden_defects_rank_first(kind: evidence.Kind, hidden: int) -> None:
    photos, twins, is_hidden = vectors(hidden)
    of_photos, of_twins = kind(photos, twins, 0)
    assert auroc(is_hidden, of_photos) > (0.6 if kind is evidence.density and hidden == 32 else 0.8)
    assert of_twins.mean() > of_photos.mean()


def test_families_outvote_what_random_folds_cannot() -> None:
    """Many equal defects vouch for each other; leaving out the family still finds them."""
    rng = np.random.default_rng(1)
    photos = rng.normal(size=(60, 30))
    photos[:12] += 6 * np.eye(30)[0] + 0.0
    photos[:12, 1:] *= 0.05
    is_hidden = np.arange(60) < 12
    with_family = evidence.Gaussian(photos).distance(photos)
    of_photos, _ = evidence.density(photos, photos, 0)
    assert auroc(is_hidden, of_photos) > auroc(is_hidden, with_family) + 0.2


@pytest.mark.parametrize("shape", [(40, 7), (9, 30)])
def test_the_gaussian_is_its_formula(shape: tuple[int, int]) -> None:
    """Against a d x d inverse, with more vectors than dimensions and with fewer."""
    rng = np.random.default_rng(2)
    train, others = rng.normal(size=shape) * 3 + 1, rng.normal(size=(5, shape[1]))
    scaled = (train - train.mean(axis=0)) / (train.std(axis=0) + 1e-3)
    sigma = EmpiricalCovariance(assume_centered=True).fit(scaled).covariance_
    floor = evidence.SHRINKAGE * np.trace(sigma) / shape[1]
    sigma = (1 - evidence.SHRINKAGE) * sigma + floor * np.eye(shape[1])
    away = (others - train.mean(axis=0)) / (train.std(axis=0) + 1e-3)
    wanted = np.einsum("ij,jk,ik->i", away, np.linalg.inv(sigma), away)
    np.testing.assert_allclose(evidence.Gaussian(train).distance(others), wanted, rtol=1e-6)


def test_the_same_seed_gives_the_same_scores_and_another_seed_others() -> None:
    photos, twins, _ = vectors(8)
    first, again, other = (evidence.consensus(photos, twins, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_constant_feature_and_equal_photos_do_no_harm() -> None:
    photos, twins, _ = vectors(8)
    photos[:, 0], twins[:, 0], photos[20] = 5.0, 5.0, photos[21]
    assert all(np.isfinite(scores).all() for scores in evidence.consensus(photos, twins, 0))
