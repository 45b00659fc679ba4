"""A refinement from tables to tables: labels can neither help nor get in."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adrefine import detectors, manifest
from adrefine.errors import UserError
from adrefine.params import Params
from adrefine.places import evidence, votes
from adrefine.review import Verdicts
from adrefine.strategies import refinement
from fakes import MapStore, MetaDetector, image_set

SETTINGS = Params.model_validate({"refine": {"strategy": "irp"}, "irp": {"lambda": 1.2}})
META = Params.model_validate({"refine": {"strategy": "meta_iqr"}, "meta_iqr": {"k": 0.3, "batch_size": 5}})
CONSENSUS = Params.model_validate({"refine": {"strategy": "consensus", "contamination": 0.25}})
TRAIN, TEST = 14, 6
ROWS = TRAIN + TEST


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(detectors, "create", lambda params: MetaDetector())
    monkeypatch.setattr(evidence, "of", gathered)


def gathered(images, held, verdicts, seed):
    return evidence.gather(MapStore(4), images.ids, held, seed, verdicts.remove)


def blind_table() -> pd.DataFrame:
    ids = list(image_set(ROWS).ids)
    split = ["train"] * TRAIN + ["test"] * TEST
    table = pd.DataFrame({"image_id": ids, "path": ids, "split": split})
    return table.assign(in_test=(table["split"] == "test").astype(int))


def run(table: pd.DataFrame, params: Params = SETTINGS) -> refinement.Refinement:
    return refinement.run(params, table, Path("prepared"), Path("initial"))


def same(one: refinement.Refinement, other: refinement.Refinement) -> bool:
    return (
        one.outcome.images.equals(other.outcome.images)
        and one.outcome.history.equals(other.outcome.history)
        and one.round_scores.equals(other.round_scores)
        and one.outcome.stop_reason == other.outcome.stop_reason
    )


content = st.lists(st.integers(-1, 1) | st.text(max_size=3), min_size=ROWS, max_size=ROWS)


@pytest.mark.parametrize("params", [SETTINGS, META, CONSENSUS], ids=["irp", "meta_iqr", "consensus"])
@settings(max_examples=20, deadline=None)
@given(columns=st.dictionaries(st.sampled_from(manifest.MEASURING_ONLY), content), random=st.randoms())
def test_no_label_and_no_order_of_rows_changes_the_outcome(params, columns, random):
    table = blind_table().assign(**columns)
    table = table.iloc[random.sample(range(ROWS), ROWS)]
    found = run(manifest.unlabelled(table), params)
    assert found.outcome.rounds > 0
    assert same(found, run(blind_table(), params))


def test_what_a_human_decided_reaches_the_evidence(monkeypatch):
    asked = []
    monkeypatch.setattr(evidence, "of", lambda *given: (asked.append(given), gathered(*given))[1])
    table = blind_table()
    removed = frozenset(table["image_id"][[2, 5]])
    verdicts = Verdicts(remove=removed | {"of another dataset"})
    found = refinement.run(CONSENSUS, table, Path("prepared"), Path("initial"), verdicts)
    images, held, told, seed = asked[0]
    assert images.ids == image_set(TRAIN).ids
    assert (held, told, seed) == ((), verdicts, 0)
    kept = found.outcome.images.set_index("image_id")
    assert (kept.loc[list(removed), "removed_round"] == 0).all()
    assert found.removed == round(0.25 * TRAIN)
    reasons = dict(zip(kept.index, found.reasons("consensus"), strict=True))
    assert [reasons[name] for name in sorted(removed)] == ["you", "you"]
    assert {reasons[name] for name in kept.index[kept["kept"] == 0]} - {"you"} <= set(votes.NAMES)
    assert {reasons[name] for name in kept.index[kept["kept"] == 1]} == {""}


def test_held_out_photos_are_looked_at_by_models_that_did_not_see_them():
    table = blind_table()
    table.loc[table["image_id"].isin(image_set(ROWS).ids[TRAIN + 2 :]), ["split", "in_test"]] = ["val", 0]
    found = run(table, CONSENSUS)
    assert found.evidence.held == image_set(ROWS).ids[TRAIN + 2 :]
    rows = found.evidence.table()
    assert set(rows.loc[rows["held_out"] == 1, "image_id"]) == set(found.evidence.held)
    assert found.summary()["held_out_standing_out"] == 0
    assert found.outcome.images.equals(run(blind_table(), CONSENSUS).outcome.images)


def test_the_summary_says_what_can_be_said():
    found = run(blind_table(), CONSENSUS)
    assert found.summary() == {
        "stop_reason": found.outcome.stop_reason,
        "rounds": 1,
        "outcome": 1,  # with so few photos nobody knows how many hide
        "held_out_standing_out": 0,
    }
    nothing = run(blind_table(), Params.model_validate({"refine": {"strategy": "vanilla"}}))
    assert nothing.summary()["outcome"] == 2
    assert run(blind_table()).reasons("irp").count("irp") == run(blind_table()).removed


@pytest.mark.parametrize("name", manifest.MEASURING_ONLY)
def test_a_table_that_tells_good_from_defective_is_refused(name):
    with pytest.raises(UserError, match=f"must not see the column {name}"):
        run(blind_table().assign(**{name: 0}))


def test_it_refines_the_training_images_alone_and_watches_the_test_images():
    found = run(blind_table())
    assert found.outcome.rounds > 0
    assert found.outcome.images["image_id"].tolist() == list(image_set(TRAIN).ids)
    columns = ["image_id", *(f"round_{number:03d}" for number in range(found.outcome.rounds + 1))]
    assert found.round_scores.columns.tolist() == columns
    assert found.round_scores["image_id"].tolist() == list(image_set(ROWS).ids[TRAIN:])
    last = found.model.score(image_set(ROWS)).image[TRAIN:]
    assert found.round_scores.iloc[:, -1].tolist() == last.tolist()


def test_without_test_images_there_is_nothing_to_watch():
    found = run(blind_table().iloc[:TRAIN])
    assert found.outcome.rounds > 0
    assert found.round_scores.empty


def test_what_tests_does_not_change_what_is_removed():
    fewer = run(blind_table().iloc[: TRAIN + 1])
    assert fewer.outcome.images.equals(run(blind_table()).outcome.images)


def test_cleaned_versions_shrink_round_by_round_to_the_kept_images():
    found, noisy = run(blind_table()), blind_table().assign(label=0)
    versions = refinement.cleaned_versions(noisy, found.outcome)
    assert list(versions) == list(range(found.outcome.rounds + 1))
    ids = [set(rows["image_id"]) for rows in versions.values()]
    assert ids[0] == set(image_set(TRAIN).ids)
    assert all(later < earlier for earlier, later in pairwise(ids))
    images = found.outcome.images
    assert ids[-1] == set(images.loc[images["kept"] == 1, "image_id"])
    assert versions[0].columns.tolist() == noisy.columns.tolist()


def test_a_refinement_that_removes_nothing_has_one_version():
    found = run(blind_table(), Params.model_validate({"refine": {"strategy": "vanilla"}}))
    versions = refinement.cleaned_versions(blind_table(), found.outcome)
    assert [len(rows) for rows in versions.values()] == [TRAIN]
