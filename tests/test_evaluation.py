"""The comparison of initial, refined and oracle: the promised numbers, each from the photos it may use."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from adrefine.detectors.base import Images, Scores
from adrefine.errors import UserError
from adrefine.evaluation.inputs import Inputs
from adrefine.evaluation.measure import evaluate
from adrefine.io import write_json
from adrefine.metrics.detection import auroc, conformal_threshold
from adrefine.params import Evaluate, parse
from adrefine.report.data import ReportData
from fakes import FakeDetector

SIDE = 16
PARAMS = Evaluate(target_fpr=0.1, localize=6, gallery=3)
DETECTION = {"auroc", "aupr", "f1_max", "mcc", "recall", "fpr"}
CLEANING = {
    "removed",
    "removed_defects",
    "removed_good",
    "precision",
    "recall",
    "good_retained",
    "rank_auroc",
    "residual_noise",
    "rounds",
    "oracle_gap_closed",
}
# Score of the first good photo of each split; the others rise from there.
GOOD = {"train": 0.5, "val": 0.6, "test": 0.55}


class Rated(FakeDetector):
    """Adds `skill` to every defect's score; its maps are bright on the left half of a defect."""

    def __init__(self, skill: float, maps: bool = True) -> None:
        super().__init__(self.rate)
        self.skill, self.draws = skill, maps
        self.asked: list[tuple[str, ...]] = []

    def rate(self, image_id: str, seen: frozenset[str]) -> float:
        split, kind, number = image_id.split("-")
        return GOOD[split] + int(number) / 20 + self.skill * (kind == "defect")

    def score(self, images: Images) -> Scores:
        self.asked.append(images.ids)
        return super().score(images)

    def maps(self, images: Images, files: list[Path]) -> np.ndarray | None:
        assert len(files) == len(images)
        heat = np.full((len(images), SIDE, SIDE), 0.1, np.float32)
        heat[["defect" in image_id for image_id in images.ids], :, : SIDE // 2] = self.skill
        return heat if self.draws else None


def rows(folder: Path, split: str, kind: str, count: int) -> pd.DataFrame:
    ids = [f"{split}-{kind}-{number:02d}" for number in range(count)]
    photo, mask = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : SIDE // 2] = 255
    Image.fromarray(photo).save(folder / "photo.png")
    Image.fromarray(mask).save(folder / "mask.png")
    defect = kind == "defect"
    return pd.DataFrame(
        {
            "image_id": ids,
            "path": str(folder / "photo.png"),
            "mask_path": str(folder / "mask.png") if defect else "",
            "split": split,
            "label": int(defect),
            "defect_type": "pit" if defect else "",
            "injected": int(defect and split == "train"),
            "in_test": int(split == "test"),
            "source": ids,
        }
    )


def manifest_of(folder: Path) -> pd.DataFrame:
    """Ten training photos, three of them hidden defects; two of those and a good photo are removed."""
    counts = {"train": (7, 3), "val": (8, 2), "test": (9, 5)}
    parts = [
        rows(folder, split, kind, n)
        for split, both in counts.items()
        for kind, n in zip(("good", "defect"), both, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)
    gone = {"train-defect-00": 1, "train-defect-01": 2, "train-good-06": 2}
    table["removed_round"] = table["image_id"].map(gone).astype("Int64")
    train = table["split"] == "train"
    table["kept"] = (train & table["removed_round"].isna()).astype(int)
    score = table["image_id"].map(lambda image_id: Rated(0.3).rate(image_id, frozenset()))
    table = table.assign(score=score.where(train), threshold=1.0, relative_score=score.where(train))
    return table.assign(reviewed="", review_note="")


def history_of(table: pd.DataFrame) -> pd.DataFrame:
    """Each of two rounds scores what is still there, and removes what `removed_round` says."""
    rows = table.loc[table["split"] == "train", ["image_id", "score", "threshold"]]
    gone = table["removed_round"].astype(float)
    rounds = [rows[~(gone < n)].assign(round=n, removed=(gone == n).astype(int)) for n in (1, 2)]
    return pd.concat(rounds, ignore_index=True)


@pytest.fixture
def inputs(tmp_path) -> Inputs:
    table = manifest_of(tmp_path)
    test = table.loc[table["in_test"] == 1, "image_id"]
    rounds = {f"round_{n:03d}": [Rated(0.05 * n).rate(i, frozenset()) for i in test] for n in range(3)}
    models = {"initial": Rated(0.05), "refined": Rated(0.15), "oracle": Rated(0.25)}
    return Inputs(
        models=models,
        refined=table,
        history=history_of(table),
        round_scores=pd.DataFrame({"image_id": test, **rounds}).iloc[::-1],
        queue=table.loc[table["split"] == "train", ["image_id"]].assign(reason="kept"),
        summary={"stop_reason": "converged", "rounds": 2},
        noise={"requested": 0.31, "realised": 0.3, "n_train": 10, "mode": "overlap"},
        prepared=Path("prepared"),
        reads=("pixels",),
    )


def measure(inputs: Inputs, params: Evaluate = PARAMS) -> ReportData:
    return evaluate(inputs, params, {"dataset": "fake"})


def unlabel(inputs: Inputs, *splits: str) -> Inputs:
    table = inputs.refined.copy()
    table.loc[table["split"].isin(splits), ["label", "injected", "mask_path"]] = [-1, 0, ""]
    return replace(inputs, refined=table)


def test_the_metrics_have_exactly_the_promised_keys(inputs):
    metrics = measure(inputs).metrics
    promised = {"detection", "localization", "cleaning", "ranking", "review", "noise"}
    assert set(metrics) == promised | {"thresholds", "recall_by_type"}
    assert set(metrics["recall_by_type"]) == set(metrics["thresholds"]) == set(metrics["detection"])
    for name, at in metrics["thresholds"].items():
        assert set(at) == {"conformal", "test_f1"}  # these detectors score no synthetic defects
        assert at["conformal"]["mcc"] == metrics["detection"][name]["mcc"]
        assert at["test_f1"]["tp"] + at["test_f1"]["fn"] == at["conformal"]["tp"] + at["conformal"]["fn"]
    assert set(metrics["ranking"]) == {"auroc", "ap", "depth_90", "depth_100"}
    assert set(metrics["detection"]) == set(metrics["localization"]) == {"initial", "refined", "oracle"}
    assert all(set(part) == DETECTION for part in metrics["detection"].values())
    assert all(set(part) == {"pixel_auroc", "aupro"} for part in metrics["localization"].values())
    assert set(metrics["cleaning"]) == CLEANING
    assert metrics["noise"] == {"requested": 0.31, "realised": 0.3, "n_train": 10}


def leaves(part: object) -> list[object]:
    return [leaf for item in part.values() for leaf in leaves(item)] if isinstance(part, dict) else [part]


def test_the_metrics_are_plain_finite_numbers(inputs):
    metrics = measure(inputs).metrics
    assert {type(value) for value in leaves(metrics)} == {int, float}
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_detection_is_that_of_each_models_scores_on_the_test_photos(inputs):
    data = measure(inputs)
    assert len(data.test) == 14
    for name in inputs.models:
        expected = auroc(data.test["label"], data.test[name])
        assert data.metrics["detection"][name]["auroc"] == pytest.approx(expected, abs=1e-6)
    values = [data.metrics["detection"][name]["auroc"] for name in ("initial", "refined", "oracle")]
    assert values == sorted(set(values))


def test_the_gap_closed_is_the_share_of_the_possible_gain(inputs):
    metrics = measure(inputs).metrics
    initial, refined, oracle = (metrics["detection"][n]["auroc"] for n in ("initial", "refined", "oracle"))
    share = (refined - initial) / (oracle - initial)
    assert metrics["cleaning"]["oracle_gap_closed"] == pytest.approx(share, abs=1e-5)


def test_a_model_that_answers_taught_is_measured_beside_the_others(inputs):
    """It changes nothing of them; its maps are those of the refined one, and are not measured again."""
    plain, taught = measure(inputs), measure(replace(inputs, models=inputs.models | {"taught": Rated(0.2)}))
    assert taught.metrics["detection"].pop("taught")["auroc"] > plain.metrics["detection"]["refined"]["auroc"]
    assert {name: part.pop("taught", None) is not None for name, part in taught.metrics.items()} == {
        name: name in ("thresholds", "recall_by_type") for name in plain.metrics
    }
    assert taught.metrics == plain.metrics


@pytest.mark.parametrize("oracle", [None, Rated(0.05), Rated(0.0)])
def test_without_a_higher_ceiling_there_is_no_gap(inputs, oracle):
    models = {name: model for name, model in inputs.models.items() if name != "oracle"}
    data = measure(replace(inputs, models=models | ({"oracle": oracle} if oracle else {})))
    assert "oracle_gap_closed" not in data.metrics["cleaning"]
    assert set(data.metrics["detection"]) == {"initial", "refined", *(["oracle"] if oracle else [])}


def test_cleaning_counts_what_was_removed(inputs):
    data = measure(inputs)
    cleaned = data.metrics["cleaning"]
    ranking = auroc(data.train["injected"], data.train["relative_score"])
    assert 0.5 < cleaned["rank_auroc"] == pytest.approx(ranking, abs=1e-6)
    assert data.metrics["ranking"]["auroc"] == cleaned["rank_auroc"]
    assert 0.9 >= data.metrics["ranking"]["depth_100"] >= data.metrics["ranking"]["depth_90"] >= 0.3
    assert (cleaned["removed"], cleaned["removed_defects"], cleaned["removed_good"]) == (3, 2, 1)
    assert cleaned["rounds"] == 2
    assert cleaned["precision"] == cleaned["recall"] == pytest.approx(2 / 3, abs=1e-6)
    assert cleaned["residual_noise"] == pytest.approx(1 / 7, abs=1e-6)


def test_the_threshold_is_that_of_the_held_out_good_photos(inputs):
    good = [Rated(0).rate(f"val-good-{number:02d}", frozenset()) for number in range(8)]
    data = measure(inputs)
    assert data.thresholds == dict.fromkeys(inputs.models, conformal_threshold(good, 0.1))
    assert data.thresholds["initial"] > measure(inputs, Evaluate(target_fpr=0.5)).thresholds["initial"]
    glaring = replace(inputs, models=dict.fromkeys(inputs.models, Rated(9)))
    assert measure(glaring).thresholds == data.thresholds, "held-out defects do not count"


def test_held_out_photos_that_a_human_called_defective_set_no_threshold(inputs):
    unknown = unlabel(inputs, "val")
    table = unknown.refined.copy()
    held = table[table["split"] == "val"].sort_values("score")
    called = held["image_id"][held["image_id"].str.contains("defect")]
    assert len(called) > 0
    table.loc[table["image_id"].isin(called), "reviewed"] = "remove"
    data = measure(replace(unknown, refined=table))
    assert data.thresholds == measure(inputs).thresholds
    assert any("threshold ignores" in note for note in data.notes)


def test_nothing_about_the_test_photos_moves_the_threshold(inputs):
    table, before = inputs.refined.copy(), measure(inputs).thresholds
    test = table["in_test"] == 1
    table.loc[test, "label"] = 1 - table.loc[test, "label"]
    assert measure(replace(inputs, refined=table.drop(table.index[test][::3]))).thresholds == before


def test_models_measure_on_test_and_held_out_photos_alone(inputs):
    measure(inputs)
    for name, model in inputs.models.items():
        training = {"train"} if name == "initial" else set()  # for the plain order of the review queue
        assert {image_id.split("-")[0] for ids in model.asked for image_id in ids} == {
            "val",
            "test",
        } | training
        assert not model.fits


def test_without_a_held_out_good_photo_there_is_no_threshold(inputs):
    table = inputs.refined[inputs.refined["split"] != "val"]
    with pytest.raises(UserError, match=r"dataset\.val_fraction"):
        measure(replace(inputs, refined=table))


def test_unlabelled_test_photos_have_no_detection_section(inputs):
    data = measure(unlabel(inputs, "test"))
    assert set(data.metrics) == {"cleaning", "ranking", "review", "noise"}
    assert "oracle_gap_closed" not in data.metrics["cleaning"]
    assert any("not labelled" in note for note in data.notes)
    assert data.rounds["auroc"].isna().all()


def test_unlabelled_training_photos_are_only_counted(inputs):
    data = measure(unlabel(inputs, "train", "val"))
    assert set(data.metrics["cleaning"]) == {"removed", "rounds", "oracle_gap_closed"}
    assert data.metrics["cleaning"]["removed"] == 3
    assert data.rounds["residual_noise"].isna().all()
    assert any("Held-out photos are unlabelled" in note for note in data.notes)


def test_without_a_test_photo_the_report_still_comes(inputs):
    data = measure(replace(inputs, refined=inputs.refined[inputs.refined["in_test"] == 0]))
    assert set(data.metrics) == {"cleaning", "ranking", "review", "noise"}
    assert data.test.empty


def test_rounds_tell_what_stayed_and_how_each_model_did(inputs):
    rounds = measure(inputs).rounds
    assert rounds["round"].tolist() == [0, 1, 2]
    assert rounds["kept"].tolist() == [10, 9, 7]
    assert rounds["removed"].tolist() == [0, 1, 2]
    assert rounds["residual_noise"].tolist() == pytest.approx([3 / 10, 2 / 9, 1 / 7])
    test = inputs.round_scores
    labels = test["image_id"].str.contains("defect").astype(int)
    expected = [auroc(labels, test[f"round_{number:03d}"]) for number in range(3)]
    assert rounds["auroc"].tolist() == pytest.approx(expected)


def test_a_photo_that_comes_back_counts_as_kept_again(inputs):
    again = (
        inputs.history[inputs.history["round"] == 2].iloc[:1].assign(image_id="train-defect-00", removed=0)
    )
    found = measure(replace(inputs, history=pd.concat([inputs.history, again]))).rounds
    assert found["kept"].tolist() == [10, 9, 8]
    assert found["removed"].tolist() == [0, 1, 2]


def test_the_review_figures_are_those_of_the_queue_and_of_the_plain_order(inputs):
    queue = inputs.queue.set_index("image_id").loc[["train-good-06", "train-defect-02"]]
    rest = inputs.queue[~inputs.queue["image_id"].isin(queue.index)]
    review = measure(replace(inputs, queue=pd.concat([queue.reset_index(), rest]))).metrics["review"]
    # Of ten photos 5 and 10 % are one, 20 % are two. Wrong: a good photo that went, a defect that stayed.
    assert [review[f"wrong_at_{share}pct"] for share in (5, 10, 20)] == [0.5, 0.5, 1.0]
    assert [review[f"found_at_{share}pct"] for share in (5, 10, 20)] == pytest.approx([0, 0, 1 / 3], abs=1e-6)
    # Of the initial model's scores the two highest are those of two good photos, 06 and 05.
    assert [review[f"plain_wrong_at_{share}pct"] for share in (5, 10, 20)] == [0.5, 0.5, 0.5]
    assert [review[f"plain_found_at_{share}pct"] for share in (5, 10, 20)] == [0, 0, 0]


def test_answered_photos_are_not_in_the_review_figures(inputs):
    answered = replace(inputs, queue=inputs.queue[inputs.queue["image_id"] != "train-good-06"])
    review = measure(answered).metrics["review"]
    assert review["wrong_at_20pct"] in (0, 1), "the one wrong decision left is a hidden defect that stayed"


def test_nothing_is_said_about_the_queue_of_unlabelled_photos(inputs):
    assert "review" not in measure(unlabel(inputs, "train")).metrics


def test_the_report_says_how_many_a_human_decided(inputs):
    table = inputs.refined.copy()
    table.loc[table["image_id"].isin(["train-good-00", "train-good-01"]), "reviewed"] = "keep"
    table.loc[table["image_id"] == "train-defect-00", "reviewed"] = "remove"
    notes = measure(replace(inputs, refined=table)).notes
    assert "1 photo removed by you, before the first round." in notes
    assert "2 photos kept by you, whatever the score." in notes


def test_maps_that_match_the_masks_are_perfect(inputs):
    assert measure(inputs).metrics["localization"]["refined"] == {"pixel_auroc": 1.0, "aupro": 1.0}


@pytest.mark.parametrize("why", ["localize is 0", "no mask", "no maps"])
def test_localization_is_left_out_where_it_cannot_be_measured(inputs, why):
    params = PARAMS.model_copy(update={"localize": 0}) if why == "localize is 0" else PARAMS
    if why == "no mask":
        inputs = replace(inputs, refined=inputs.refined.assign(mask_path=""))
    if why == "no maps":
        inputs = replace(inputs, models={name: Rated(0.1, maps=False) for name in inputs.models})
    data = measure(inputs, params)
    assert "localization" not in data.metrics
    assert bool(data.maps) == (why != "no maps")


def test_the_order_of_rows_changes_nothing(inputs):
    one = measure(inputs)
    other = measure(replace(inputs, refined=inputs.refined.sample(frac=1, random_state=1)))
    assert one.metrics == other.metrics
    pd.testing.assert_frame_equal(one.test, other.test)
    pd.testing.assert_frame_equal(one.rounds, other.rounds)


def test_every_model_fuses_its_maps_with_the_alpha_of_evaluate(inputs, monkeypatch):
    told: list[tuple[Rated, float]] = []
    monkeypatch.setattr(Rated, "apply", lambda self, evaluate: told.append((self, evaluate.alpha)))
    measure(inputs, PARAMS.model_copy(update={"alpha": 0.3}))
    assert told == [(model, 0.3) for model in inputs.models.values()]


@pytest.mark.parametrize(("of_maps", "said"), [(0.9, False), (0.75, True)])
def test_another_alpha_than_that_of_the_rounds_is_said(inputs, of_maps, said):
    section = parse({"detector": "efficientad", "efficientad": {"preset": "short"}}).chosen_detector
    remarks = section.remarks(Evaluate(alpha=of_maps))
    assert ("scored with α = 0.9, everything else with 0.75" in " ".join(remarks)) == said
    assert evaluate(replace(inputs, remarks=remarks), PARAMS, {}).notes[: len(remarks)] == remarks


def test_the_report_says_where_the_detectors_inputs_come_from(inputs, tmp_path):
    assert measure(inputs).distillation is None
    pixels = tmp_path / "pixels"
    write_json(pixels / "meta.json", {"size": "small", "teacher": "resnet18", "steps": 3, "side": 256})
    (pixels / "loss.csv").write_text("step,loss\n1,0.9\n2,0.8\n3,0.7\n")
    data = measure(replace(inputs, prepared=tmp_path))
    assert data.distillation.to_dict("list") == {"step": [1, 2, 3], "loss": [0.9, 0.8, 0.7]}
    expected = {"dataset": "fake", "PDN": "small", "distilled from": "resnet18", "distillation steps": 3}
    assert data.settings == {**expected, "maps": "the detector's own"}
    (pixels / "loss.csv").write_text("step,loss\n")
    assert measure(replace(inputs, prepared=tmp_path)).distillation is None


def test_maps_of_places_are_made_beside_the_photos_that_each_model_learned(inputs):
    learned: list[set[str]] = []

    def mapper(prepared: Path, trained, ids, files) -> np.ndarray:
        learned.append(set(trained))
        assert prepared == inputs.prepared
        assert len(ids) == len(files)
        heat = np.zeros((len(ids), SIDE, SIDE), np.float32)
        heat[["defect" in image_id for image_id in ids], :, : SIDE // 2] = 1
        return heat

    unmapped = {name: Rated(skill, maps=False) for name, skill in (("initial", 0.1), ("refined", 0.2))}
    data = measure(replace(inputs, models=unmapped | {"oracle": Rated(0.3, maps=False)}, mapper=mapper))

    train = {f"train-good-{n:02d}" for n in range(7)} | {f"train-defect-{n:02d}" for n in range(3)}
    kept = train - {"train-defect-00", "train-defect-01", "train-good-06"}
    oracle = {image_id for image_id in train if "good" in image_id}
    assert learned == [train, kept, oracle, kept]  # measured, then the pictures of the report
    assert data.metrics["localization"]["refined"] == {"pixel_auroc": 1.0, "aupro": 1.0}
    assert data.maps
    assert data.settings["maps"] == "places"
    assert measure(inputs).settings["maps"] == "the detector's own"
