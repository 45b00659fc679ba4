"""The Great Expectations suite: good data passes, bad data fails its own check with the remedy."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from adrefine import manifest, noise
from adrefine.detectors import DETECTORS
from adrefine.errors import UserError
from adrefine.io import sha256_file
from adrefine.params import Noise, Params, Validate
from adrefine.stages import validate
from adrefine.strategies import STRATEGIES
from adrefine.validation import checks, needs, run, tables

NO_PAIRS = pd.DataFrame(columns=list(manifest.DUPLICATE_COLUMNS))


def photos(train=14, val=4, test=6, defects=5) -> pd.DataFrame:
    parts = [("train", 0, train), ("val", 0, val), ("test", 0, test), ("test", 1, defects)]
    rows = [(split, label) for split, label, count in parts for _ in range(count)]
    table = pd.DataFrame(rows, columns=["split", "label"])
    table["image_id"] = [f"{i:016x}" for i in range(len(table))]
    defect = table["label"] == 1
    table["path"] = "data/ingested/images/" + table["image_id"] + ".png"
    table["mask_path"] = ("data/ingested/masks/" + table["image_id"] + ".png").where(defect, "")
    table["defect_type"] = defect.map({True: "pit", False: ""})
    table["source"] = [f"photo {i}.jpg" for i in range(len(table))]
    table["mask_area"] = defect * 0.02
    return table.assign(width=640, height=480, scale="0..255", part="")[list(manifest.COLUMNS)]


def levels_of(table: pd.DataFrame, **given) -> pd.DataFrame:
    values = {"grey_levels": 200, "black": 0.01, "saturated": 0.02} | given
    ours = table if {"image_id", "source"} <= set(table) else table.assign(image_id="", source="")
    return ours[["image_id", "source"]].assign(**values)


def pair(kind="near", source=0, other=20, leak=1, conflict=0) -> pd.DataFrame:
    table = photos().iloc[[source, other]]
    first, second = table.to_dict("records")
    names = [row[key] for row in (first, second) for key in ("image_id", "source", "split")]
    return pd.DataFrame([[kind, *names, leak, conflict, 0.999]], columns=NO_PAIRS.columns)


def touch(table: pd.DataFrame, root: Path) -> Path:
    for path in filter(None, [*table["path"], *table["mask_path"]]):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def failures(
    table, root, pairs=NO_PAIRS, params=None, levels=None
) -> dict[tuple[str, str], run.CheckOutcome]:
    data = tables.derive(table, pairs, levels_of(table) if levels is None else levels, root)
    outcomes = run.run(data, checks.suite(data, params or Validate()))
    return {
        (outcome.check.table, outcome.check.arguments.get("column", "")): outcome
        for outcome in outcomes
        if not outcome.success
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return touch(photos(), tmp_path_factory.mktemp("project"))


def put(*changes):
    """The manifest with single values changed: (column, row, value)."""
    table = photos().astype(object)
    for column, row, value in changes:
        table.loc[row, column] = value
    return table.infer_objects()


DEFECT = 26  # a row of `photos` that is a defect with a mask


def test_good_photos_pass(root):
    assert failures(photos(), root) == {}
    assert failures(photos(), root, pair()) == {}  # near leaks are allowed by default


MISTAKES = [  # (column, row, value), the check that fails, what it says
    (("image_id", 1, "ABC"), ("manifest", "image_id"), "not 16 hexadecimal digits"),
    (("path", 2, "/elsewhere/a.png"), ("manifest", "path"), "relative to the project"),
    (("split", 3, "training"), ("manifest", "split"), "split is unknown"),
    (("label", 4, 7), ("manifest", "label"), "label is none of"),
    (("width", 5, 0), ("manifest", "width"), "no width"),
    (("height", 5, -1), ("manifest", "height"), "no height"),
    (("source", 6, "photo 1.jpg"), ("manifest", "source"), "taken in several times"),
    (("mask_area", DEFECT, 0.95), ("manifest", "mask_area"), "validate.max_mask_area"),
    (("mask_area", DEFECT + 1, 0.0), ("photos", "defect_mask_empty"), "without any marked pixel"),
    (("mask_path", DEFECT + 2, ""), ("photos", "area_without_mask"), "photo without a mask"),
    (("defect_type", 7, "pit"), ("photos", "good_but_typed"), "has a defect type"),
    (("split", DEFECT, "train"), ("photos", "defect_to_learn"), "move it to the test photos"),
]


def test_each_mistake_fails_its_own_check_and_no_other(tmp_path):
    table = put(*(change for change, _, _ in MISTAKES))
    table.loc[2, "path"] = str(tmp_path / "a.png")
    found = failures(table, touch(table, tmp_path))
    assert set(found) == {failed for _, failed, _ in MISTAKES}
    for _, failed, says in MISTAKES:
        assert says in str(run.explain([found[failed]]))
        assert found[failed].observed["unexpected"] in (1, 2)  # 2: a repeated value


@pytest.mark.parametrize(
    ("table", "failed", "says"),
    [
        (photos(test=0), "good_test_photos", "no good test photo"),
        (photos(train=9), "train_photos", "validate.min_train"),
        (photos(val=1), "val_photos", "(1, should be at least 2)"),
    ],
)
def test_splits_that_are_too_small_fail(table, failed, says, tmp_path):
    found = failures(table, touch(table, tmp_path))
    assert set(found) == {("dataset", failed)}
    assert says in str(run.explain(list(found.values())))


def test_a_good_photo_with_a_marked_defect_fails(root):
    table = put(("mask_area", 2, 0.1), ("mask_path", 2, photos().loc[DEFECT, "mask_path"]))
    assert set(failures(table, root)) == {("photos", "good_but_masked")}


def test_same_image_twice_fails(root):
    table = photos()
    found = failures(pd.concat([table, table.iloc[[3]].assign(source="copy.jpg")]), root)
    assert set(found) == {("manifest", "image_id"), ("manifest", "path")}


def test_missing_files_are_named(root, tmp_path):
    table = photos()
    touch(table, tmp_path)
    (tmp_path / table["path"][3]).unlink()
    (tmp_path / table["mask_path"][DEFECT]).unlink()
    found = failures(table, tmp_path)
    assert set(found) == {("photos", "file_missing"), ("photos", "mask_missing")}
    assert found["photos", "file_missing"].examples == [{"image_id": f"{3:016x}", "source": "photo 3.jpg"}]


def test_leaks_and_conflicts(root):
    exact = failures(photos(), root, pair("exact"))
    assert set(exact) == {("pairs", "exact_leak")}
    assert "photo 0.jpg and photo 20.jpg" in str(run.explain(list(exact.values())))
    mended = pair("exact", source=20, other=20).assign(source="copy.jpg", split="train")  # ingest dropped it
    assert failures(photos(), root, mended) == {}
    assert set(failures(photos(), root, mended.assign(label_conflict=1))) == {("pairs", "exact_conflict")}
    near = failures(photos(), root, pair(), Validate(max_near_leaks=0.05))
    assert near["dataset", "near_leak_share"].observed == {"value": round(1 / 11, 6)}
    assert failures(photos(), root, pair(), Validate(max_near_leaks=0.1)) == {}


def test_unlabelled_photos_need_no_test_set(root):
    unlabelled = photos(test=0, defects=0).assign(label=-1)
    assert failures(unlabelled, root) == {}
    assert set(failures(unlabelled.assign(label=0), root)) == {("dataset", "test_photos")}


def test_no_photos_and_missing_columns_fail_readably(root):
    assert ("manifest", "") in failures(photos().iloc[:0], root)
    found = failures(photos().drop(columns="label"), root)
    assert set(found) == {("manifest", "")}
    assert "columns" in str(run.explain(list(found.values())))


def test_only_a_few_examples_and_the_count_are_reported(root):
    outcome = failures(photos().assign(height=0), root)["manifest", "height"]
    assert outcome.observed == {"rows": 29, "unexpected": 29}
    assert [row["source"] for row in outcome.examples] == [f"photo {i}.jpg" for i in range(5)]
    assert "(29 found: photo 0.jpg, photo 1.jpg" in str(run.explain([outcome]))


def test_ten_thousand_photos_are_quick(tmp_path):
    table = photos(train=8000, val=500, test=1000, defects=500)
    touch(table.head(1), tmp_path)
    failures(photos().head(1), tmp_path)  # the import is not what is measured
    start = time.perf_counter()
    data = tables.derive(table, NO_PAIRS, levels_of(table), tmp_path)
    outcomes = run.run(data, checks.suite(data, Validate()))
    assert time.perf_counter() - start < 8
    assert sum(not outcome.success for outcome in outcomes) == 2  # files missing


@pytest.mark.parametrize(
    ("given", "failed"),
    [
        ({"grey_levels": 17}, {("levels", "grey_levels")}),
        (
            {"black": 1.0, "grey_levels": 1},
            {("levels", "grey_levels"), ("levels", "black"), ("dataset", "black_share")},
        ),
        ({"saturated": 0.97}, {("levels", "saturated"), ("dataset", "saturated_share")}),
    ],
)
def test_photos_read_on_a_wrong_scale_fail_and_the_setting_is_named(root, given, failed):
    found = failures(photos(), root, levels=levels_of(photos(), **given))
    assert set(found) == failed
    assert "set dataset.bit_depth" in str(run.explain(list(found.values())))


def test_one_black_photo_of_many_passes_two_of_twenty_are_named(root):
    levels = levels_of(photos())
    levels.loc[3, ["grey_levels", "black"]] = [1, 1.0]
    assert failures(photos(), root, levels=levels) == {}
    levels.loc[4, ["grey_levels", "black"]] = [1, 1.0]
    found = failures(photos(), root, levels=levels)
    assert set(found) == {("levels", "grey_levels"), ("levels", "black")}
    assert "photo 3.jpg, photo 4.jpg" in str(run.explain(list(found.values())))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    touch(photos(), tmp_path)
    manifest.write(tmp_path / "data/ingested/manifest.csv", photos())
    pair().to_csv(tmp_path / "data/ingested/duplicates.csv", index=False)
    levels_of(photos()).to_csv(tmp_path / "data/ingested/levels.csv", index=False)
    (tmp_path / "params.yaml").write_text("{}\n")
    return tmp_path


def test_stage_writes_the_same_summary_every_time_and_data_docs(project, capsys):
    folder = project / "reports/validation"
    validate.main()
    captured = capsys.readouterr()
    assert captured.out == "validate: 33 checks passed\n"
    assert captured.err == ""
    assert (folder / "data_docs/index.html").stat().st_size > 1000
    assert "Remedy: " in (folder / "data_docs/expectations/manifest.html").read_text()
    first = sha256_file(folder / "summary.json")
    validate.main()
    assert sha256_file(folder / "summary.json") == first
    content = json.loads((folder / "summary.json").read_text())
    assert (content["success"], content["checks"], content["failed"], content["photos"]) == (True, 33, 0, 29)
    keys = [(result["table"], result["expectation"], result["column"]) for result in content["results"]]
    assert keys == sorted(keys)
    assert len(set(keys)) == 33


def test_stage_that_fails_leaves_nothing_to_go_on_with(project):
    validate.main()
    manifest.write(project / "data/ingested/manifest.csv", put(("width", 2, 0)))
    with pytest.raises(UserError, match=r"1 of 33 checks.*\n.*no width \(1 found: photo 2.jpg\)"):
        validate.main()
    folder = project / "reports/validation"
    assert not (folder / "summary.json").exists()
    failed = json.loads((folder / "failed.json").read_text())
    assert [result["column"] for result in failed["results"] if not result["success"]] == ["width"]
    manifest.write(project / "data/ingested/manifest.csv", photos())
    validate.main()
    assert not (folder / "failed.json").exists()


def test_missing_duplicates_is_a_user_error(project):
    (project / "data/ingested/duplicates.csv").unlink()
    with pytest.raises(UserError, match=r"duplicates\.csv is missing"):
        validate.main()


def test_great_expectations_is_imported_only_to_run():
    code = "import sys; from adrefine.stages import validate; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def chosen(**sections) -> Params:
    refine = {"strategy": "mad"} | sections.pop("refine", {})
    return Params.model_validate({"refine": refine} | sections)


@pytest.mark.parametrize("detector", sorted(DETECTORS.table))
@pytest.mark.parametrize("strategy", sorted(STRATEGIES.table))
def test_every_strategy_and_detector_says_first_how_many_photos_it_needs(strategy, detector):
    settings = chosen(detector=detector, refine={"strategy": strategy, "scorer": "out_of_fold", "folds": 3})
    least = max(settings.chosen_strategy.FEWEST, settings.chosen_detector.FEWEST)
    if strategy != "consensus":  # the others are given scores by models of folds
        least = max(least, 6)
    needs.check(least, settings)
    with pytest.raises(UserError, match=rf"too few to learn from\n  - .* needs {least} training photos"):
        needs.check(least - 1, settings)


@pytest.mark.parametrize(
    ("count", "sections", "says"),
    [
        (
            9,
            {"refine": {"strategy": "consensus"}},
            "refine.strategy = consensus needs 10 .*another str",
        ),
        (1, {"detector": "padim"}, "detector = padim needs 2 training photos or more: add photos, or choose"),
        (1, {"noise": {"n_train": 1}}, "add photos, or raise noise.n_train, or choose another detector"),
        (
            9,
            {"refine": {"scorer": "out_of_fold", "folds": 5}},
            "set refine.folds to at most 4, or set",
        ),
        (
            3,
            {"refine": {"scorer": "out_of_fold", "folds": 2}},
            "add photos, or set refine.scorer to in",
        ),
    ],
)
def test_the_remedy_names_the_setting(count, sections, says):
    with pytest.raises(UserError, match=says):
        needs.check(count, chosen(**sections))


def test_defects_in_training_count_where_they_stay_there():
    table = photos(train=9)
    defect = table.index[table["label"] == manifest.DEFECT]
    table.loc[defect, "split"] = "train"
    assert noise.size(table, Noise()) == 9
    assert noise.size(table, Noise(mode="as_given")) > 9
