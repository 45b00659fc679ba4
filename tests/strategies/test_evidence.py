"""Evidence on generated vectors: what it must find, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.covariance import EmpiricalCovariance

from adrefine.metrics.detection import auroc
from adrefine.strategies import evidence
from fakes import vectors


@pytest.mark.parametrize("kind", [evidence.discriminator, evidence.density])
@pytest.mark.parametrize("hidden", [8, 32])
def test_hidden_defects_rank_first(kind: evidence.Kind, hidden: int) -> None:
    photos, twins, is_hidden = vectors(hidden)
    of_photos, of_twins = kind(photos, twins, 0, None)
    assert auroc(is_hidden, of_photos) > (0.6 if kind is evidence.density and hidden == 32 else 0.8)
    assert of_twins.mean() > of_photos.mean()


@pytest.mark.parametrize("hidden", [8, 32])
def test_what_both_agree_on_ranks_first(hidden: int) -> None:
    photos, twins, is_hidden = vectors(hidden)
    ranks, _ = evidence.consensus(photos, twins, np.ones(len(photos)), 0)
    assert auroc(is_hidden, ranks) > 0.8
    assert ((ranks > 0) & (ranks < 1)).all()


@pytest.mark.parametrize(("share", "vote"), [(0.0, 1.0), (0.1, 2 / 3), (0.3, 0.0), (0.5, 0.0)])
@pytest.mark.parametrize("known", [False, True])
def test_two_voters_and_a_model_whose_vote_fades(monkeypatch, share, vote, known) -> None:
    rng = np.random.default_rng(4)
    looks, foreign, learned = rng.permuted(np.tile(np.arange(20.0), (3, 1)), axis=1)
    monkeypatch.setattr(evidence, "discriminator", lambda *given: (looks, looks - 9))
    monkeypatch.setattr(evidence, "density", lambda *given: (foreign, foreign + share))
    monkeypatch.setattr(evidence, "hidden_share", lambda photos, twins: float((twins - photos).mean()))
    monkeypatch.setattr(evidence, "stands_out", lambda looks, photos, twins: 1.0)
    vectors = np.zeros((20, 1))
    ranks, found = evidence.consensus(vectors, vectors, learned, 0, share if known else None)
    wanted = np.average([looks, foreign, learned], axis=0, weights=[1, 1, vote])
    np.testing.assert_allclose(ranks, (wanted + 0.5) / 20)
    assert found == pytest.approx(share)  # of the density's scores


@pytest.mark.parametrize("kind", [evidence.discriminator, evidence.density])
def test_known_defects_teach_what_synthetic_ones_do_not(kind: evidence.Kind) -> None:
    """The hidden defects lie in another direction than the synthetic ones; eight of sixteen are known."""
    photos, twins, is_hidden = vectors(16)
    photos, twins = photos[:, ::-1] + 2 * photos, twins[:, ::-1] + 2 * photos
    known = np.arange(len(photos)) < 8
    taught, alone = (kind(photos, twins, 0, told)[0][~known] for told in (known, None))
    assert auroc(is_hidden[~known], taught) > auroc(is_hidden[~known], alone) + 0.03


@pytest.mark.parametrize("kind", [evidence.discriminator, evidence.density])
def test_no_known_defect_changes_nothing(kind: evidence.Kind) -> None:
    photos, twins, _ = vectors(8)
    for told, untold in zip(
        kind(photos, twins, 0, np.zeros(len(photos), bool)), kind(photos, twins, 0, None), strict=True
    ):
        np.testing.assert_array_equal(told, untold)


def test_who_confirms_defects_does_not_make_the_others_look_cleaner() -> None:
    photos, twins, is_hidden = vectors(16)
    model = np.ones(len(photos))
    ranks, before = evidence.consensus(photos, twins, model, 0)
    known = is_hidden & (ranks >= np.sort(ranks)[-10])
    assert known.sum() >= 5
    _, after = evidence.consensus(photos, twins, model, 0, known=known)
    assert after > 0.8 * before > 0


@pytest.mark.parametrize("sound", [2, 3])
def test_next_to_no_photo_is_sound(sound: int) -> None:
    photos, twins, _ = vectors(4, n=10)
    ranks, share = evidence.consensus(photos, twins, np.ones(10), 0, known=np.arange(10) >= sound)
    assert np.isfinite(ranks).all()
    assert 0 <= share <= evidence.MOST


def drawn(
    hidden: float, n: int, *, worse: float = 3.0, step: float = 3.0, spread: float = 2.3
) -> evidence.Scores:
    """Scores of photos, the share `hidden` of them by `worse` too high, twins `step` ± `spread` off."""
    rng = np.random.default_rng(3)
    photos = rng.normal(size=n) + worse * (np.arange(n) < hidden * n)
    return photos, photos + rng.normal(step, spread, n)


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("shift", [-50.0, 0.0, 50.0])
def test_the_share_does_not_depend_on_the_unit_of_the_scores(scale: float, shift: float) -> None:
    photos, twins = drawn(0.1, 400)
    found = evidence.hidden_share(scale * photos + shift, scale * twins + shift)
    assert 0 < found == pytest.approx(evidence.hidden_share(photos, twins))


def test_the_more_hide_the_higher_the_share_and_never_over_half() -> None:
    found = [evidence.hidden_share(*drawn(share, 5000)) for share in (0.0, 0.05, 0.1, 0.2)]
    assert found == sorted(found)
    assert found[0] == 0 < found[1] < found[2]
    assert evidence.hidden_share(*drawn(0.3, 5000, worse=9.0)) == evidence.MOST


def test_hidden_defects_widen_the_photos_and_not_the_steps() -> None:
    """What the estimate rests on: the same steps, other photos."""
    (photos, twins), (others, their_twins) = drawn(0.0, 5000), drawn(0.2, 5000)
    np.testing.assert_allclose(twins - photos, their_twins - others)
    assert evidence.hidden_share(others, their_twins) > evidence.hidden_share(photos, twins) + 0.2


@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("high", [0.8, 0.9, 1.2, 1.9, 2.0, 9.0])
def test_the_share_is_its_formula(n: int, high: float) -> None:
    """Steps of 1 and 3: their mean 2, their deviation 1. A quarter of the photos is `high`, the others 0."""
    photos = np.where(np.arange(n) % 4 == 3, high, 0.0)
    twins = photos + np.where(np.arange(n) % 2, 1.0, 3.0)
    wanted = (min(high, 2) ** 2 / 4 - 0.15 / 2**0.8 * np.exp(34 / n)) / 0.4
    assert wanted > 0
    assert evidence.hidden_share(photos, twins) == pytest.approx(min(wanted, 0.5))


@pytest.mark.parametrize("hidden", [4, 8, 16])
def test_where_defects_stand_out_hardly_more_go_than_there_are(hidden: int) -> None:
    photos, twins, _ = vectors(hidden)
    density = evidence.hidden_share(*evidence.density(photos, twins, 0))
    _, share = evidence.consensus(photos, twins, np.ones(len(photos)), 0)
    assert hidden / len(photos) <= share < min(density, hidden / len(photos) + 0.2)


def slowly(looks: np.ndarray, photos: np.ndarray, twins: np.ndarray) -> float:
    """`stands_out`, literally: the worst photo of both goes until the mean square of the rest is small."""
    steps = twins - photos
    excess = [float(min(max((s - np.median(photos)) / steps.std(), 0), 2)) for s in photos]
    n = len(photos)
    both = (rankdata(looks) - 0.5) / n + (rankdata(photos) - 0.5) / n
    left = sorted(range(n), key=lambda i: both[i])
    wide = 0.15 / (steps.mean() / steps.std()) ** 0.8 * np.exp(17 / n)
    while left and np.mean([excess[i] ** 2 for i in left]) > wide:
        left.pop()
    return 1 - len(left) / n


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 60), st.floats(0, 0.5), st.floats(1, 9))
def test_what_stands_out_is_what_goes_until_the_rest_is_narrow(
    seed: int, n: int, share: float, far: float
) -> None:
    rng = np.random.default_rng(seed)
    photos = rng.normal(size=n) + far * (np.arange(n) < share * n)
    looks, twins = photos + rng.normal(size=n), photos + 3 + rng.normal(size=n)
    assert evidence.stands_out(looks, photos, twins) == pytest.approx(slowly(looks, photos, twins))


def test_nothing_stands_out_among_clean_photos_nor_to_vectors_that_see_too_little() -> None:
    photos, twins = drawn(0.0, 5000)
    assert evidence.stands_out(photos, photos, twins) == 0
    photos, twins = drawn(0.2, 5000, step=1.0, spread=1.8)
    assert evidence.stands_out(photos, photos, twins) == 0


@pytest.mark.parametrize("limit", ["hidden_share", "stands_out", "worse"])
def test_the_least_of_three_limits_counts(monkeypatch, limit) -> None:
    shares = {"hidden_share": 0.4, "stands_out": 0.08, "worse": 0.4}
    for name, share in shares.items():
        value = share / 2 if name == limit else share
        monkeypatch.setattr(evidence, name, lambda *scores, value=value: value)
    wanted = {"hidden_share": 0.2, "stands_out": (2 + 40 * 0.04) * 0.04, "worse": 0.2}[limit]
    photos, twins = drawn(0.1, 20)
    assert evidence.found((photos, twins), (photos, twins)) == pytest.approx(wanted)


def test_the_fewer_stand_out_the_fewer_go_beside_each(monkeypatch) -> None:
    monkeypatch.setattr(evidence, "worse", lambda *scores: 1.0)
    monkeypatch.setattr(evidence, "hidden_share", lambda *scores: evidence.MOST)
    shares = []
    for seen in (0.0, 0.02, 0.04, 0.08):
        monkeypatch.setattr(evidence, "stands_out", lambda *scores, seen=seen: seen)
        shares.append(evidence.found((np.zeros(1), np.zeros(1)), (np.zeros(1), np.zeros(1))))
    assert shares[0] == 0
    assert 0 < shares[1] / 0.02 < shares[2] / 0.04 < shares[3] / 0.08


def test_worse_counts_photos_over_a_quantile_of_the_twins() -> None:
    twins = np.arange(101.0)
    assert evidence.worse(np.array([0.0, 5.0, 5.1, 900.0]), twins) == 0.5
    assert evidence.worse(twins - 200, twins) == 0


def test_one_gross_defect_is_one_defect() -> None:
    photos, twins = drawn(0.0, 400, worse=0.0)
    found = []
    for worse in (4.0, 40.0, 4000.0):
        off = np.where(np.arange(400) == 7, worse, 0.0)
        found.append(evidence.hidden_share(photos + off, twins + off))
    assert found[0] < 0.1
    assert found[2] <= found[1] <= found[0] + 0.03


def test_vectors_that_hardly_see_a_synthetic_defect_say_nothing() -> None:
    assert evidence.hidden_share(*drawn(0.2, 5000, step=1.0, spread=1.8)) == 0.0


@pytest.mark.parametrize("photos", [np.zeros(20), np.arange(20.0)])
def test_equal_photos_or_equal_steps_do_no_harm(photos: np.ndarray) -> None:
    for twins in (photos, photos + 1, photos - 1):
        assert 0 <= evidence.hidden_share(photos, twins) <= evidence.MOST


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
