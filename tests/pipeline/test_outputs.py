"""What a whole run leaves: the promised metrics, versions that agree with each other, an offline report."""

from __future__ import annotations

import io
import json
import re
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml

from pipeline import photos
from pipeline.project import PHOTOS, STAGES, Project, Run

pytestmark = pytest.mark.pipeline

MODELS = {"initial", "refined", "oracle"}
DETECTION = {"auroc", "aupr", "f1_max", "mcc", "recall", "fpr"}
CLEANING = {
    *("removed", "removed_defects", "removed_good", "precision", "recall"),
    *("good_retained", "rank_auroc", "residual_noise", "rounds", "outcome"),
}


REVIEW = ("found", "plain_found", "wrong", "plain_wrong")


@pytest.fixture(scope="module")
def done(first: tuple[Project, Run, str]) -> Project:
    """The project with the results of the committed state."""
    first[0].reset()
    first[0].repro()
    return first[0]


def test_metrics_have_the_promised_keys(done: Project) -> None:
    metrics = _metrics(done)
    promised = {"detection", "localization", "cleaning", "ranking", "review", "noise"}
    assert set(metrics) == promised | {"thresholds", "recall_by_type"}
    assert all(set(at) == {"conformal", "validation_f1", "test_f1"} for at in metrics["thresholds"].values())
    promised = {"detection": DETECTION, "localization": {"pixel_auroc", "aupro"}}
    for part, keys in promised.items():
        assert {name: set(found) for name, found in metrics[part].items()} == {name: keys for name in MODELS}
    assert set(metrics["cleaning"]) - {"oracle_gap_closed"} == CLEANING
    assert set(metrics["ranking"]) == {"auroc", "ap", "depth_90", "depth_100"}
    assert set(metrics["review"]) == {f"{name}_at_{share}pct" for name in REVIEW for share in (5, 10, 20)}
    assert set(metrics["noise"]) == {"requested", "realised", "n_train"}
    assert all(isinstance(value, int | float) for value in _leaves(metrics))


def test_share_of_the_gap_is_what_it_says(done: Project) -> None:
    metrics = _metrics(done)
    initial, refined, oracle = (
        metrics["detection"][name]["auroc"] for name in ("initial", "refined", "oracle")
    )
    closed = metrics["cleaning"].get("oracle_gap_closed")
    if oracle - initial < 0.002:
        assert closed is None
    else:
        assert closed == pytest.approx((refined - initial) / (oracle - initial), abs=1e-3)


def test_metrics_count_what_the_manifest_says(done: Project) -> None:
    metrics, train = _metrics(done), _train(done)
    removed = train[train["kept"] == 0]
    assert metrics["cleaning"]["removed"] == len(removed)
    assert metrics["cleaning"]["removed_defects"] == removed["injected"].sum()
    assert metrics["cleaning"]["removed_good"] == (removed["injected"] == 0).sum()
    assert metrics["noise"]["n_train"] == len(train)
    assert metrics["noise"]["realised"] == pytest.approx(train["injected"].mean(), abs=1e-6)


def test_versions_agree_with_manifest_and_history(done: Project) -> None:
    versions, train, history = _versions(done), _train(done), _table(done, "data/refined/history.csv")
    noisy = _table(done, "data/noisy/manifest.csv")
    assert versions[0] == set(noisy.loc[noisy["split"] == "train", "image_id"])
    assert len(versions) > 1, "nothing was removed: the test shows nothing"
    for number, ids in versions.items():
        stays = train["removed_round"].isna() | (train["removed_round"] > number)
        assert ids == set(train.loc[stays, "image_id"])
    assert versions[max(versions)] == set(train.loc[train["kept"] == 1, "image_id"])
    for number, scored in history.groupby("round"):
        before = versions[max(other for other in versions if other < number)]
        assert set(scored["image_id"]) == before
        gone = scored[scored["removed"] == 1]
        assert before - versions.get(number, before) == set(gone["image_id"])
        assert (gone["score"] > gone["threshold"]).all()


def test_manifest_has_the_last_score_of_each_photo(done: Project) -> None:
    train = _train(done).set_index("image_id")
    last = _table(done, "data/refined/history.csv").sort_values("round").groupby("image_id").last()
    assert set(last.index) == set(train.index)
    for column in ("score", "threshold"):
        pd.testing.assert_series_equal(train[column].sort_index(), last[column], check_index_type=False)


def test_report_is_offline_and_whole(done: Project) -> None:
    _assert_offline(done)
    assert list((done.root / "reports/plots").iterdir())
    assert len(pd.read_csv(done.root / "reports/curves/roc.csv")) > 2


def test_the_bundle_names_the_settings_that_decided(done: Project) -> None:
    settings = yaml.safe_load((done.root / "params.yaml").read_text())
    told = json.loads((done.root / "models/bundle/bundle.json").read_text())["params"]
    assert "root" not in told["dataset"], "a private path"
    for name in (
        "dataset",
        "noise",
        settings["detector"],
        "refine",
        settings["refine"]["strategy"],
        "evaluate",
    ):
        assert (
            told[name].items()
            >= {
                key: value for key, value in settings[name].items() if key != "root" and value is not None
            }.items()
        )


def test_an_experiment_shows_its_figures(done: Project) -> None:
    done.git("add", "-f", "dvc.lock")
    done.git("commit", "-q", "-m", "Results")
    run = done.run("dvc", "exp", "run", "-n", "trial", "-S", "evaluate.target_fpr=0.4")
    assert run.code == 0, run.err
    assert run.ran == {"evaluate"}
    table = pd.read_csv(io.StringIO(done.run("dvc", "exp", "show", "--csv").out)).set_index("Experiment")
    trial = table.loc["trial"]
    assert float(trial["evaluate.target_fpr"]) == 0.4
    assert float(trial["after"]) == _metrics(done)["detection"]["refined"]["auroc"]
    assert float(trial["removed"]) == _metrics(done)["cleaning"]["removed"]
    first = ["strategy", "hidden", "removed", "removed_defects", "before", "after", "ceiling"]
    metrics = list(table.columns)[list(table.columns).index("parent") + 1 :]
    assert metrics[: len(first)] == first, "what `dvc exp show` begins with is what people compare"
    drawn = done.run("dvc", "plots", "diff", "HEAD", "trial")
    assert drawn.code == 0, drawn.err
    page = (done.root / "dvc_plots/index.html").read_text()
    assert page.count("Caught defects against false alarms") >= 1
    assert set(re.findall(r'"rev": ?"(\w+)"', page)) == {"HEAD", "trial"}
    assert "dvc_plots" not in done.git("status", "--porcelain", "--untracked-files=all")


def test_one_folder_nobody_sorted(fresh: Project) -> None:
    """Photos with nothing known of them: they are cleaned, and no figure pretends to know what was right."""
    for number in range(3):
        values, _ = photos.damaged(7000 + number, (20, 20))
        photos.save(fresh.root / PHOTOS / f"train/good/odd{number}.png", values)
    fresh.set({"dataset.name": "folder", "dataset.root": f"{PHOTOS}/train/good", "noise.level": 0.0})
    assert fresh.repro().ran == set(STAGES)
    metrics = _metrics(fresh)
    assert set(metrics) == {"cleaning", "noise"}
    assert set(metrics["cleaning"]) == {"removed", "rounds", "outcome"}
    assert metrics["cleaning"]["removed"] == (_train(fresh)["kept"] == 0).sum() > 0
    assert [path.name for path in (fresh.root / "models/oracle").iterdir()] == ["absent.json"]
    assert {path.name for path in (fresh.root / "reports/plots").iterdir()} == {"scores_by_round.png"}
    page = _assert_offline(fresh)
    assert "AUROC" not in page
    assert "adrefine review " in page


def _assert_offline(project: Project) -> str:
    """The report fetches nothing: what it names on the web is at most the XML namespace of its drawings."""
    text = (project.root / "reports/report.html").read_text()
    assert "<html" in text
    assert not set(re.findall(r"""https?://[^\s"'<>)]+""", text)) - {"http://www.w3.org/2000/svg"}
    linked = re.findall(r"""(?:\b(?:src|href)\s*=\s*["']?|url\(["']?)([^"'\s>)]{0,60})""", text)
    assert linked
    assert [link for link in linked if not link.startswith(("data:", "#", "../"))] == []
    opened = {link for link in linked if link.startswith("../")}  # the photos, where they lie
    assert opened
    assert all((project.root / "reports" / unquote(link)).is_file() for link in opened)
    return text


def _metrics(project: Project) -> dict[str, dict]:
    return json.loads((project.root / "reports/metrics.json").read_text())


def _leaves(part: object) -> list[object]:
    return [leaf for value in part.values() for leaf in _leaves(value)] if isinstance(part, dict) else [part]


def _table(project: Project, path: str) -> pd.DataFrame:
    return pd.read_csv(project.root / path, dtype={"image_id": str})


def _train(project: Project) -> pd.DataFrame:
    table = _table(project, "data/refined/manifest.csv")
    return table[table["split"] == "train"]


def _versions(project: Project) -> dict[int, set[str]]:
    """Image ids by round of every cleaned dataset."""
    folder = project.root / "data/refined/rounds"
    return {
        int(path.stem): set(pd.read_csv(path, dtype={"image_id": str})["image_id"])
        for path in sorted(folder.glob("*.csv"))
    }
