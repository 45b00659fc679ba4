"""Photos get weights: by the formula, round after round, and a model learns them so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adrefine.detectors import DETECTORS
from adrefine.detectors.base import Images
from adrefine.detectors.padim.settings import Settings
from adrefine.errors import UserError
from adrefine.features.store import write_rows
from adrefine.params import Params, Refine, parse
from adrefine.paths import PLACES
from adrefine.places import evidence
from adrefine.places.voters import earned, together
from adrefine.review import UNDECIDED, Verdicts
from adrefine.strategies import refinement, weighing
from adrefine.strategies.share import Share
from fakes import FakeDetector, MapStore

STORE = MapStore(8, count=60)
REFINE = Refine()


def rounds(verdicts: Verdicts = UNDECIDED, params: Refine = REFINE) -> list[pd.DataFrame]:
    found = evidence.gather(STORE, STORE.ids, known=verdicts.remove)
    return weighing.weigh(STORE, Images(STORE.ids, Path()), found, verdicts, params)


def test_the_first_round_is_the_formula() -> None:
    found, nobody = evidence.gather(STORE, STORE.ids), np.zeros(60, bool)
    half = weighing.centre(found, nobody, nobody)
    first = rounds()[0]
    np.testing.assert_allclose(first["weight"], 1 / (1 + np.exp((found.strength - half) / 0.5)), rtol=1e-9)
    assert ((first["weight"] < 0.5) == (found.strength > half)).all()


@pytest.mark.parametrize(("share", "half"), [(None, 2.5), (0.0, 3.0), (0.1, 2.0), (0.2, 1.5), (0.5, 1.5)])
def test_the_more_is_thought_to_hide_the_less_it_takes_to_count_for_less(monkeypatch, share, half) -> None:
    told = None if share is None else Share(share, 0.0, 1.0)
    monkeypatch.setattr(weighing, "answered_share", lambda *_: told)
    found, nobody = evidence.gather(STORE, STORE.ids), np.zeros(60, bool)
    assert weighing.centre(found, nobody, nobody) == pytest.approx(half)
    tenth = np.arange(60) < 6
    if share:  # what a human has found does not hide any more
        assert weighing.centre(found, tenth, nobody) == pytest.approx(max(3 - 10 * (share - 0.1), 1.5))


def test_each_round_scores_with_the_weights_of_the_one_before() -> None:
    """Weights of 0 and 1 are photos that are not there; places and pooled vectors decide."""
    found = evidence.gather(STORE, STORE.ids)
    weights = (np.arange(60) >= 8).astype(float)
    images = Images(STORE.ids, Path())
    one = weighing._strength(STORE, images, found, weights, np.ones(60, bool), 0)
    other = evidence.gather(STORE, STORE.ids, known=frozenset(STORE.ids[:8]))
    both, now = found.voters[:2], [voter.photos for voter in other.voters[:2]]
    photos = together(both, earned(both), now)
    np.testing.assert_allclose(one, (photos - np.median(photos)) / evidence.robust(photos)[1], rtol=1e-6)
    assert len(rounds()) == 3
    assert rounds()[2].loc[list(STORE.ids[:8]), "weight"].mean() < 0.1


def test_what_a_human_said_is_the_weight() -> None:
    verdicts = Verdicts(keep=frozenset(STORE.ids[:2]), remove=frozenset(STORE.ids[5:9]))
    for table in rounds(verdicts):
        assert (table.loc[list(verdicts.keep), "weight"] == 1).all()
        assert (table.loc[list(verdicts.remove), "weight"] == 0).all()


def test_min_keep_holds() -> None:
    last = rounds(params=Refine(min_keep=0.95))[-1]
    assert (last["weight"] >= 0.5).sum() == 57


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    ids = list(STORE.content)
    shapes = {"maps": STORE.maps(ids[:1]).shape[1:], "pooled": STORE.pooled(ids[:1]).shape[1:]}
    rows = zip(STORE.maps(ids), STORE.pooled(ids), strict=True)
    write_rows(tmp_path / PLACES, ids, rows, shapes, {"side": 5})
    return tmp_path


def test_padim_learns_by_weight(prepared: Path) -> None:
    """Sums of weights, of x and of x xᵀ with numpy."""
    images = Images(STORE.ids, prepared)
    model = Settings(pooled=False).create()
    model.fit(images.weighing({name: 1.0 if place else 0.25 for place, name in enumerate(STORE.ids)}))
    maps = STORE.maps(STORE.ids).astype(float)
    weights = np.r_[0.25, np.ones(59)]
    sums = model.parts["places"].sums
    np.testing.assert_allclose(sums.weight, 59.25)
    np.testing.assert_allclose(sums.first, np.einsum("n,npd->pd", weights, maps))
    np.testing.assert_allclose(sums.second, np.einsum("n,npd,npe->pde", weights, maps, maps), rtol=1e-9)


def test_a_detector_that_does_not_weigh_learns_a_sample(prepared: Path) -> None:
    model, images = FakeDetector(), Images(STORE.ids, prepared)
    seen: list[int] = []
    outcome = weighing.refine(
        model, images, rounds(), REFINE, lambda number, _: seen.append(number), UNDECIDED
    )
    assert seen == [0, 3]
    learned = set(model.fits[-1][0])
    weights = outcome.images.set_index("image_id")["weight"]
    assert len(model.fits) == 1
    assert abs(len(learned) - weights.sum()) < 4
    assert not learned & set(weights.index[weights < 0.01])
    assert learned >= set(weights.index[weights > 0.999])


def test_a_run_has_versions_with_weights_and_what_the_rule_takes_weighs_nothing(prepared: Path) -> None:
    params: Params = parse({"detector": "padim"})
    images = Images(STORE.ids, prepared)
    model = params.chosen_detector.create()
    model.fit(images)
    model.save(prepared / "initial")
    table = pd.DataFrame({"image_id": STORE.ids, "path": STORE.ids, "split": "train", "in_test": 0})
    verdicts = Verdicts(remove=frozenset(STORE.ids[:2]), keep=frozenset(STORE.ids[2:3]))
    found = refinement.run(params, table, prepared, prepared / "initial", verdicts)
    rows = found.outcome.images.set_index("image_id")
    assert (rows["kept"] == (rows["weight"] > 0)).all()
    gone = set(rows.index[rows["kept"] == 0])
    assert gone == refinement.foreseen(params, table, prepared, verdicts)
    assert verdicts.remove < gone
    versions = refinement.cleaned_versions(table, found.outcome)
    assert list(versions) == [0, 1, 2, 3]
    assert [len(versions[number]) for number in range(4)] == [58, *[60 - len(gone)] * 3]
    assert (versions[0]["weight"] == 1).all()
    last = versions[3].set_index("image_id")["weight"]
    np.testing.assert_array_equal(last, rows.loc[last.index, "weight"])
    assert found.model.score(images).image[3] > model.score(images).image[3]
    light = int(((rows["weight"] > 0) & (rows["weight"] < 0.5)).sum())
    assert light > 0
    assert found.summary()["rounds"] == 3
    assert found.summary()["light"] == light
    removing = parse({"detector": "padim", "refine": {"mode": "remove"}})
    without = refinement.run(removing, table, prepared, prepared / "initial", verdicts)
    kept = without.outcome.images.set_index("image_id")["kept"]
    assert (rows["kept"] == kept).all()  # the same goes, whether the others weigh or not


@pytest.mark.parametrize(
    ("settings", "weighs"),
    [
        ({}, True),
        ({"detector": "differnet"}, False),
        ({"detector": "differnet", "refine": {"mode": "weigh"}}, True),
        ({"refine": {"mode": "remove"}}, False),
        ({"refine": {"strategy": "irp"}}, False),
        ({"refine": {"contamination": 0.1}}, False),
    ],
)
def test_photos_weigh_by_themselves_where_it_was_measured_to_help(settings: dict, weighs: bool) -> None:
    assert parse(settings).weighs is weighs


def test_settings_say_what_their_detector_does() -> None:
    for name in DETECTORS.names():
        chosen = parse({"detector": name}).chosen_detector
        assert type(chosen.create()).weighs is chosen.WEIGHS, name


@pytest.mark.parametrize("given", [{"strategy": "irp"}, {"contamination": 0.1}])
def test_weights_follow_from_the_evidence_alone(given: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"mode` = weigh needs refine.strategy = consensus"):
        parse({"refine": {"mode": "weigh", **given}})
