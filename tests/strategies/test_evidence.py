"""Evidence on generated vectors: what it must find, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance

from adrefine.metrics.detection import auroc
from adrefine.strategies import evidence
from fakes import vectors


@pytest.mark.parametrize("kind", [evidence.discriminator, evidence.density])
@pytest.mark.parametrize("hidden", [8, 32])
def test_hidden_defects_rank_first(kind: evidence.Kind, hidden: int) -> None:
    photos, twins, is_hidden = vectors(hidden)
    of_photos, of_twins = kind(photos, twins, 0)
    assert auroc(is_hidden, of_photos) > (0.6 if kind is evidence.density and hidden == 32 else 0.8)
    assert of_twins.mean() > of_photos.mean()


@pytest.mark.parametrize("hidden", [8, 32])
def test_what_both_agree_on_ranks_first(hidden: int) -> None:
    photos, twins, is_hidden = vectors(hidden)
    ranks, _ = evidence.consensus(photos, twins, np.ones(len(photos)), 0)
    assert auroc(is_hidden, ranks) > 0.8
    assert ((ranks > 0) & (ranks < 1)).all()


@pytest.mark.parametrize(("share", "weights"), [(0.05, (1, 0, 2)), (0.175, (1, 0.5, 1)), (0.3, (1, 1, 0))])
def test_the_model_counts_where_few_hide_and_the_density_where_many_do(monkeypatch, share, weights) -> None:
    rng = np.random.default_rng(4)
    looks, foreign, learned = rng.permuted(np.tile(np.arange(20.0), (3, 1)), axis=1)
    monkeypatch.setattr(evidence, "discriminator", lambda photos, twins, seed: (looks, looks))
    monkeypatch.setattr(evidence, "density", lambda photos, twins, seed: (foreign, foreign))
    monkeypatch.setattr(evidence, "hidden_share", lambda photos, twins: share)
    ranks, found = evidence.consensus(np.zeros((20, 1)), np.zeros((20, 1)), learned, 0)
    wanted = np.average([looks, foreign, learned], axis=0, weights=weights)
    np.testing.assert_allclose(ranks, (wanted + 0.5) / 20)
    assert found == share
    known, told = evidence.consensus(np.zeros((20, 1)), np.zeros((20, 1)), learned, 0, 0.3)
    np.testing.assert_allclose(known, (np.mean([looks, foreign], axis=0) + 0.5) / 20)
    assert told == 0.3


def drawn(hidden: float, n: int, told: float = 2.0, like: float = 1.6) -> tuple[np.ndarray, np.ndarray]:
    """Scores of photos, the share `hidden` of them defects, and of their twins, apart by `like`, `told`."""
    clean = np.random.default_rng(3).normal(size=n)
    return clean + like * (np.arange(n) < hidden * n), clean + told


@pytest.mark.parametrize("told", [2.0, 3.0])
def test_clean_photos_are_hardly_taken_for_hidden_defects(told: float) -> None:
    """Whether the classifiers tell photos from twins with an AUROC of .92 or .98."""
    clean, tenth = (evidence.hidden_share(*drawn(share, 5000, told)) for share in (0.0, 0.1))
    assert clean < tenth
    assert evidence.hidden_share(*drawn(0.0, 5000, 3.0)) == 0.0


def test_the_more_hide_the_higher_the_estimate_and_never_over_half() -> None:
    found = [evidence.hidden_share(*drawn(share, 5000)) for share in (0.0, 0.1, 0.2, 0.3)]
    assert found == sorted(found)
    assert found[1] < found[3] <= evidence.MOST


def shrunk(share: float) -> float:
    """A share under a quarter counts in proportion to itself."""
    return share * min(share / 0.25, 1.0)


@pytest.mark.parametrize(
    ("worst", "share"),
    [
        ([20, 30, 45, 45, 60], shrunk((0.01 - 0.006) / 0.1)),  # second limit
        ([55, 55, 20, 20, *[16] * 20], shrunk((0.02 - 0.012) / 0.2)),  # first
        ([45, 55, 60, 11, 12], shrunk(0.05)),  # five look worse than .1 of the twins
        ([11] * 20 + [51] * 40, 0.5),  # sixty do, but never more than half
    ],
)
def test_the_share_is_its_formula(worst: list[int], share: float) -> None:
    """The other photos look better than all twins; .1, .4 and .5 of the twins are under 11, 41 and 51.

    Every photo looks better than its own twin, so a fifth of the hidden defects is over the first limit.
    """
    photos = np.concatenate([np.zeros(100 - len(worst)), worst])
    assert evidence.hidden_share(photos, np.arange(1.0, 101.0)) == pytest.approx(share)


@pytest.mark.parametrize(("swapped", "blur", "found"), [(0, 0, 0.2), (2, 0, 0.1), (8, 0.03, 0.1)])
def test_what_the_vectors_cannot_see_is_not_laid_to_defects(swapped: int, blur: float, found: float) -> None:
    """`swapped` of a hundred photos look worse than their own twins, though no worse than others."""
    photos = np.concatenate([np.zeros(50), np.full(42, 20.0), np.full(8, 60.0)])
    twins = np.arange(1.0, 101.0)
    twins[[*range(swapped), *range(92, 92 + swapped)]] = [*range(93, 93 + swapped), *range(1, swapped + 1)]
    assert (photos < twins).sum() == 100 - swapped
    told = auroc(np.repeat([0, 1], 100), np.concatenate([photos, twins]))
    clean = 0.012 + 0.7 * (0.905 - told) + blur
    shares = [(0.08 - part * clean) / (part * found) for part in (1.0, 0.5)]
    assert evidence.hidden_share(photos, twins) == pytest.approx(shrunk(max(0.0, min(shares))))
    assert 0 < min(shares) < 0.5  # no other bound applies: fifty look worse than .1 of the twins


def test_where_photos_can_hardly_be_told_from_twins_nothing_is_laid_to_defects() -> None:
    """An AUROC of .66, as coarse vectors of clean photos have: two of five are over the limit."""
    assert evidence.hidden_share(*drawn(0.0, 5000, told=0.58, like=0.0)) == 0.0


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
    model = np.ones(len(photos))
    first, again, other = (evidence.consensus(photos, twins, model, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_constant_feature_and_equal_photos_do_no_harm() -> None:
    photos, twins, _ = vectors(8)
    photos[:, 0], twins[:, 0], photos[20] = 5.0, 5.0, photos[21]
    ranks, share = evidence.consensus(photos, twins, np.ones(len(photos)), 0)
    assert np.isfinite(ranks).all()
    assert 0 <= share <= evidence.MOST
