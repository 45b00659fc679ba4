"""Evidence on generated maps: what it must find, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from adrefine.metrics.detection import auroc
from adrefine.places import evidence
from adrefine.places.evidence import gather
from adrefine.places.models import PLACES_SHRINKAGE
from adrefine.places.out_of_fold import FOLDS, folds_of
from adrefine.places.voters import DISCRIMINATOR, FAMILIES, OWN, PLACES, POOLED
from adrefine.strategies.share import estimate_share
from fakes import MapStore


def of(store: MapStore, **keys: object) -> evidence.Evidence:
    return gather(store, store.ids, **keys)


@pytest.mark.parametrize("hidden", [3, 12])
def test_hidden_defects_rank_first_and_the_cell_points_at_them(hidden: int) -> None:
    store = MapStore(hidden)
    found = of(store)
    assert auroc(store.hidden, found.strength) > 0.95
    pointed = found.cells[:hidden] @ [5, 1] == store.where
    assert pointed.mean() >= 2 / 3


def test_scores_are_those_of_gaussians_of_the_other_folds() -> None:
    """Place by place with numpy: mean, covariance over the other folds, shrunken; the worst twentieth."""
    store = MapStore(2, count=23)
    found, folds = of(store, seed=4), folds_of(store.ids, 4)
    assert sorted(np.bincount(folds)) == [4, 4, 5, 5, 5]
    maps, twins = store.maps(store.ids).astype(float), store.maps(f"{name}_0" for name in store.ids)
    for fold in range(5):
        rest, inside = maps[folds != fold], folds == fold
        rest, asked = (part / rest.std(axis=(0, 1)) for part in (rest, np.stack([maps, twins])[:, inside]))
        distances = np.zeros((2, inside.sum(), 25))
        for place in range(25):
            covariance = np.cov(rest[:, place].T)
            covariance += PLACES_SHRINKAGE * np.trace(covariance) / 4 * np.eye(4)
            away = asked[:, :, place] - rest[:, place].mean(axis=0)
            distances[..., place] = np.einsum("tnd,de,tne->tn", away, np.linalg.inv(covariance), away)
        voter = found.voters[0]
        scores = np.log(distances.max(axis=2))  # the largest 5 % of 25 places: one
        np.testing.assert_allclose(voter.photos[inside], scores[0], rtol=1e-5)
        np.testing.assert_allclose(voter.twins[inside], scores[1], rtol=1e-5)


def test_a_voters_weight_is_what_it_tells_twins_by() -> None:
    store = MapStore()
    found = of(store)
    for voter in found.voters[:3]:
        both = np.concatenate([voter.photos, voter.twins])
        assert voter.telling == pytest.approx(auroc(np.arange(len(both)) >= len(voter.photos), both))
    earned = (np.array([voter.telling for voter in found.voters]) - 0.5) ** 2
    np.testing.assert_allclose(found.weights, earned / earned.sum())
    assert [voter.name for voter in found.voters] == [PLACES, POOLED, FAMILIES, OWN, DISCRIMINATOR]
    assert found.weights[0] > found.weights[1]  # a step at one place of 25 hardly moves the mean
    assert found.weights[3] == found.weights[0]  # of photos that a model has learned nobody can judge it


def test_a_voter_that_sees_nothing_has_next_to_no_vote(monkeypatch) -> None:
    store = MapStore(6)
    noise = np.random.default_rng(1)
    monkeypatch.setattr(store, "pooled", lambda ids: noise.normal(size=(len(list(ids)), 3)))
    found = of(store)
    assert found.weights[1] < 0.1
    assert auroc(store.hidden, found.strength) > 0.95


def test_strength_is_in_robust_deviations() -> None:
    found = of(MapStore(4))
    assert np.median(found.strength) == pytest.approx(0)
    assert np.median(np.abs(found.strength)) * 1.4826 == pytest.approx(1)


def test_neither_order_nor_other_labels_change_a_photos_strength() -> None:
    store = MapStore(5)
    shuffled = tuple(np.random.default_rng(2).permutation(store.ids))
    first, again = of(store), gather(store, shuffled)
    strength = dict(zip(again.ids, again.strength, strict=True))
    np.testing.assert_allclose([strength[name] for name in first.ids], first.strength, rtol=1e-6)
    assert np.abs(of(store, seed=1).strength - first.strength).max() > 0.01  # other folds


def test_known_defects_are_learned_by_nobody_and_scored_all_the_same() -> None:
    """Whatever two known defects look like, nothing changes for the others."""
    store, known = MapStore(6), frozenset(("im000", "im001"))
    before = of(store, known=known)
    for name in known:
        store.content[name] = store.content[name] + np.float16(30)
    after = of(store, known=known)
    np.testing.assert_array_equal(before.strength[2:], after.strength[2:])
    assert before.weights == after.weights
    assert (after.strength[:2] > before.strength[:2]).all()
    taught, alone = (auroc(store.hidden[2:], found.strength[2:]) for found in (before, of(MapStore(6))))
    assert taught >= alone


def test_held_out_photos_are_ranked_and_change_nothing() -> None:
    store, other = MapStore(4), MapStore(3, seed=9)
    for name in other.ids:
        store.content[f"val{name}"] = other.content[name]
    held = [f"val{name}" for name in other.ids]
    found, alone = gather(store, store.ids, held), of(store)
    np.testing.assert_array_equal(found.strength, alone.strength)
    assert auroc(other.hidden, found.held_strength) > 0.95
    assert abs(float(np.median(found.held_strength))) < 0.5
    assert alone.held_strength.shape == (0,)


def test_what_no_model_learned_is_judged_by_the_places() -> None:
    """Held-out photos and known defects stand out to the model of the others by that alone."""
    store, other = MapStore(4, count=20), MapStore(3, seed=9)
    for name in other.ids:
        store.content[f"val{name}"] = other.content[name]
    found = gather(store, store.ids, [f"val{name}" for name in other.ids], known=frozenset(store.ids[:2]))
    own, places = (next(v for v in found.voters if v.name == name) for name in (OWN, PLACES))
    np.testing.assert_allclose(own.standard(own.held), places.standard(places.held))
    np.testing.assert_allclose(own.standard(own.photos[:2]), places.standard(places.photos[:2]))
    assert (np.abs(own.standard(own.photos) - places.standard(places.photos))[2:] > 1e-6).all()


def test_parts_that_lie_in_any_pose_have_a_large_spread() -> None:
    assert of(MapStore()).spread < 0.5 < of(MapStore(turned=True)).spread


def test_hidden_defects_widen_the_upper_side() -> None:
    assert of(MapStore(0)).width < of(MapStore(6)).width < of(MapStore(12)).width


def test_without_twins_all_voters_weigh_the_same_and_nothing_is_said_of_the_share() -> None:
    found = of(MapStore(3), twins=False)
    assert [voter.name for voter in found.voters] == [PLACES, POOLED, FAMILIES, OWN]
    assert found.weights == (0.25, 0.25, 0.25, 0.25)
    assert np.isnan([found.spread, found.width]).all()


def test_twins_of_some_photos_weigh_the_voters_as_those_of_all() -> None:
    """Half of them: the same models, so the same scores; weights and widths near, strength in one order."""
    store, whole = MapStore(6, count=200), of(MapStore(6, count=200))
    has = np.arange(200) % 4 < 2  # of both kinds
    for place in np.flatnonzero(~has):
        del store.content[f"{store.ids[place]}_0"]
    found = of(store)
    for voter, before in zip(found.voters[:3], whole.voters, strict=False):
        np.testing.assert_array_equal(voter.photos, before.photos)
        np.testing.assert_array_equal(voter.twins[has], before.twins[has])
        ordered, twins = voter.photos, voter.twins[has]
        pairs = (twins[:, None] > ordered).mean() + (twins[:, None] == ordered).mean() / 2
        assert voter.telling == pytest.approx(pairs)
    for voter in (found.voters[0], found.voters[1], found.voters[2], found.voters[4]):
        assert np.isnan(voter.twins).tolist() == (~has).tolist()
    assert found.weights == pytest.approx(whole.weights, abs=0.05)
    assert found.spread == pytest.approx(whole.spread, rel=0.3)
    assert found.width == pytest.approx(whole.width, abs=0.3)
    assert np.corrcoef(found.strength, whole.strength)[0, 1] > 0.99


@pytest.mark.parametrize("twins", [1, 9])
def test_a_few_twins_tell_nothing_of_the_share(twins: int) -> None:
    store = MapStore(6)
    store.content = {
        name: maps
        for name, maps in store.content.items()
        if not name.endswith("_0") or int(name[2:5]) >= 60 - twins
    }
    found = of(store)
    assert np.isnan([found.spread, found.width]).all()
    assert estimate_share(found) is None
    assert np.isfinite(found.strength).all()


def test_twins_of_known_defects_alone_are_as_none() -> None:
    store = MapStore(6)
    store.content = {
        name: maps for name, maps in store.content.items() if not name.endswith("_0") or int(name[2:5]) < 5
    }
    found = gather(store, store.ids, known=frozenset(store.ids[:5]))
    assert [voter.telling for voter in found.voters] == [0.5] * 5
    assert np.isfinite(found.strength).all()
    assert estimate_share(found) is None


def test_photos_that_are_all_the_same_tell_nothing_of_the_share() -> None:
    store = MapStore()
    for maps in store.content.values():
        maps[:] = 3
    found = of(store)
    assert estimate_share(found) is None
    assert not found.strength.any()


def test_no_twin_at_all_is_as_without() -> None:
    store = MapStore(3)
    store.content = {name: store.content[name] for name in store.ids}
    assert of(store).voters[0].twins is None
    assert of(store).weights == (0.25, 0.25, 0.25, 0.25)


def test_the_table_has_every_photos_votes() -> None:
    store = MapStore(3)
    store.content["val"] = store.content["im000"]
    found = gather(store, store.ids, ["val"])
    table = found.table()
    assert len(table) == 6 * (len(store.ids) + 1)
    assert set(table["voter"]) == {PLACES, POOLED, FAMILIES, OWN, DISCRIMINATOR, "together"}
    mine = table[(table["voter"] == "together") & (table["held_out"] == 0)]
    assert sorted(mine["rank"]) == list(range(1, len(store.ids) + 1))
    assert mine.loc[mine["rank"] == 1, "score"].item() == found.strength.max()
    places = table[table["voter"] == PLACES].set_index("image_id")
    assert places.loc["im001", ["row", "column"]].tolist() == (found.cells[1] + 1).tolist()
    assert table.loc[table["voter"] != PLACES, ["row", "column"]].isna().all(axis=None)
    assert table.loc[table["image_id"] == "val", "held_out"].tolist() == [1] * 6


def test_the_loudest_voter_is_named() -> None:
    found = of(MapStore(3))
    says = {
        voter.name: weight * voter.standard(voter.photos)
        for voter, weight in zip(found.voters, found.weights, strict=True)
    }
    for place, name in enumerate(found.loudest()):
        assert says[name][place] == max(said[place] for said in says.values())


def test_shots_of_one_part_are_in_one_fold() -> None:
    ids = [f"im{number}" for number in range(40)]
    parts = {image_id: f"p{place // 5}" for place, image_id in enumerate(ids[:25])}
    folds = dict(zip(ids, folds_of(ids, 0, parts), strict=True))
    assert all(len({folds[i] for i in parts if parts[i] == part}) == 1 for part in set(parts.values()))
    assert set(folds.values()) == set(range(FOLDS))
