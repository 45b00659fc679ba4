"""The whole command on made-up photos, with a detector that is no network."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from adrefine import detectors
from adrefine.benchmark import figures, measure, plan, prepared, runs
from adrefine.benchmark.command import benchmark
from adrefine.errors import UserError
from adrefine.io import read_json, write_json
from adrefine.metrics import detection
from adrefine.params import parse
from benchmark.made_up import results, written
from fakes import FakeDetector

CONTENT = {
    "datasets": [{"name": "made", "layout": "mvtec", "n_train": 20}],
    "levels": [0.0, 0.2],
    "seeds": [0, 1],
    "strategies": {
        "keen": {"refine": {"strategy": "osr", "scorer": "in_sample"}, "osr": {"lambda": 1.2}},
        "patient": {"refine": {"strategy": "irp", "scorer": "out_of_fold", "max_rounds": 3}},
    },
}


def suspicious(image_id: str, seen: frozenset[str]) -> float:
    """Defects look odd, less so once some of them were seen."""
    learned = 0.33 * sum(name.startswith("bad") for name in seen)
    own = (sum(map(ord, image_id)) % 7) / 20
    return 1 + own + (1.5 - learned if image_id.startswith("bad") else 0)


class Saved(FakeDetector):
    """A fake that remembers what it learned in a file; `cold` lists who learned from scratch."""

    cold: list[tuple[str, ...]] = []  # noqa: RUF012

    def fit(self, images, *, warm_start=False):
        if not warm_start:
            Saved.cold.append(images.ids)
        return super().fit(images, warm_start=warm_start)

    def save(self, folder: Path) -> None:
        write_json(folder / "seen.json", sorted(self.seen))

    def load(self, folder: Path) -> None:
        self.fits = [(tuple(read_json(folder / "seen.json", list)), False)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose dataset is prepared: 30 good photos to train on, 8 + 6 to test, 3 defects to hide."""
    rows = [(f"good{n:02d}", "train", 0) for n in range(30)] + [(f"test{n}", "test", 0) for n in range(8)]
    rows += [(f"bad{n}", "test" if n < 6 else "pool", int(True)) for n in range(10)]
    table = pd.DataFrame(rows, columns=["image_id", "split", "label"]).assign(
        path="", defect_type="scratch", mask_path=""
    )
    prepares = []

    def prepare(params, twins=False):
        prepares.append(params.dataset.root)
        return prepared.Prepared(table, Path("nowhere"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prepared, "prepare", prepare)
    monkeypatch.setattr(prepared, "read", lambda folder: prepared.Prepared(table, Path("nowhere")))
    monkeypatch.setattr(detectors, "create", lambda params: Saved(suspicious))
    monkeypatch.setattr(figures, "draw", lambda groups, config: {})  # test_benchmark_render draws
    Saved.cold = []
    return prepares


def rows(name="made"):
    return pd.read_csv(f"results/{name}.csv", keep_default_na=False, na_values=[""])


def expected_scores():
    """In-sample scores of the training photos at noise 0.2, seed 0, and which of them are hidden defects."""
    params = parse({"noise": {"level": 0.2, "n_train": 20, "seed": 0}})
    _, ids, clean = measure.inject(prepared.read(Path(".")).table, params)
    scores = pd.Series({name: suspicious(name, frozenset(ids)) for name in ids})
    return scores, pd.Series({name: int(name not in clean) for name in ids})


def test_every_run_has_its_row_with_what_it_measures(project, capsys):
    benchmark(written(Path("."), CONTENT), workers=1)
    table = rows()
    assert len(table) == 2 * 2 * 4
    assert project == ["data/raw"]
    assert capsys.readouterr().out == "results/made.md\n"
    noisy = table[table["noise"] == 0.2].set_index(["seed", "strategy"])
    assert (noisy["n_train"] == 20).all()
    assert (noisy["realised"] == 0.2).all()
    assert noisy.loc[(0, "vanilla"), "removed"] == 0
    keen = noisy.loc[(0, "keen")]
    scores, hidden = expected_scores()
    removed = scores > 1.2 * scores.median()
    assert keen["removed"] == removed.sum() > 0
    assert keen["recall"] == pytest.approx(hidden[removed].sum() / 4)
    assert keen["precision"] == pytest.approx(hidden[removed].mean())
    assert keen["good_retained"] == pytest.approx((~removed[hidden == 0]).mean())
    assert keen["rank_auroc"] == pytest.approx(detection.auroc(hidden, scores))
    assert keen["precision_at_defects"] == pytest.approx(measure.precision_at_defects(hidden, scores))
    assert noisy.loc[(0, "patient"), "rounds"] == 3
    assert noisy.loc[(0, "oracle"), "ceiling_rank_auroc"] == 1.0
    assert pd.isna(noisy.loc[(0, "oracle"), "rank_auroc"])
    assert pd.isna(keen["ceiling_rank_auroc"])
    clean = table[table["noise"] == 0].set_index(["seed", "strategy"])
    assert clean["ceiling_rank_auroc"].isna().all()
    assert (clean.loc[(0, "oracle"), "auroc"]) == clean.loc[(0, "vanilla"), "auroc"]


def test_initial_model_and_oracle_are_trained_once_for_all_strategies(project):
    benchmark(written(Path("."), {**CONTENT, "seeds": [0], "levels": [0.2]}), workers=1)
    whole = [ids for ids in Saved.cold if len(ids) == 20]
    oracle = [ids for ids in Saved.cold if len(ids) == 16 and not any(name.startswith("bad") for name in ids)]
    assert len(whole) == 1
    assert len(oracle) >= 1
    before = len(Saved.cold)
    benchmark(written(Path("."), {**CONTENT, "seeds": [0], "levels": [0.2]}), workers=1)
    assert len(Saved.cold) == before
    assert project == ["data/raw"]


def test_a_killed_benchmark_goes_on_where_it_was(project, monkeypatch):
    path = written(Path("."), CONTENT)
    whole = written(Path("."), CONTENT, "whole")
    benchmark(whole, workers=1)
    execute, done = runs.execute, []

    def dies(run):
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(run)
        return execute(run)

    monkeypatch.setattr(runs, "execute", dies)
    with pytest.raises(KeyboardInterrupt):
        benchmark(path, workers=1)
    assert len(rows()) == 6
    monkeypatch.setattr(runs, "execute", lambda run: done.append(run) or execute(run))
    benchmark(path, workers=1)
    assert len(done) == len(set(map(str, done))) == 16
    pd.testing.assert_frame_equal(rows().drop(columns="seconds"), rows("whole").drop(columns="seconds"))


def test_only_the_rows_of_a_changed_strategy_are_done_again(project, monkeypatch):
    benchmark(written(Path("."), CONTENT), workers=1)
    execute, done = runs.execute, []
    monkeypatch.setattr(runs, "execute", lambda run: done.append(run) or execute(run))
    keen = {"refine": {"strategy": "osr", "scorer": "in_sample"}, "osr": {"lambda": 9.0}}
    path = written(Path("."), {**CONTENT, "strategies": {**CONTENT["strategies"], "keen": keen}})
    benchmark(path, dry_run=True)
    assert not done
    benchmark(path, workers=1)
    assert {run.strategy for run in done} == {"keen"}
    assert len(done) == 4
    table = rows()
    assert len(table) == 16
    assert (table.loc[table["strategy"] == "keen", "removed"] == 0).all()


def test_a_level_that_the_defects_cannot_reach_is_recorded_and_not_tried_again(project, monkeypatch, capsys):
    path = written(Path("."), {**CONTENT, "levels": [0.2, 0.4], "seeds": [0]})
    benchmark(path, workers=1)
    table = rows()
    assert len(table) == 4 + 1
    odd = table[table["noise"] == 0.4].iloc[0]
    assert odd["strategy"] == "vanilla"
    assert "needs 8 defects to hide, there are 4" in odd["unreachable"]
    assert "- noise 0.4 cannot be made: noise.level=0.4" in Path("results/made.md").read_text()
    project.clear()
    benchmark(path, workers=1)
    assert not project
    capsys.readouterr()
    benchmark(path, dry_run=True)
    assert capsys.readouterr().out.count("unreachable made") == 4


def test_a_dry_run_lists_every_run_and_does_nothing(project, capsys):
    path = written(Path("."), CONTENT)
    benchmark(path, dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 17
    assert lines[1] == "missing     made, padim, no_overlap, noise 0, seed 0, keen"
    assert lines[-1] == "16 runs: 16 missing; results in results/made.csv"
    assert not project
    assert not Path("results").exists()


def test_rendering_alone_runs_nothing(project):
    path = written(Path("."), CONTENT)
    benchmark(path, render_only=True)
    assert "**16 of 16 runs are not done yet.**" in Path("results/made.md").read_text()
    assert not project
    assert not Saved.cold


def test_models_are_kept_or_deleted_as_asked(project):
    benchmark(written(Path("."), CONTENT), workers=1)
    assert len(list(prepared.WORK.glob("*/models/*/seen.json"))) == 4
    benchmark(written(Path("."), {**CONTENT, "keep_models": False, "seeds": [2]}), workers=1)
    assert len(list(prepared.WORK.glob("*/models/*/seen.json"))) == 4


def test_an_impossible_run_is_named(project, monkeypatch):
    monkeypatch.setattr(detectors, "create", lambda params: Saved(lambda image_id, seen: float("nan")))
    with pytest.raises(UserError, match=r"^made, padim, no_overlap, noise 0, seed 0, vanilla: "):
        benchmark(written(Path("."), CONTENT), workers=1)


def test_labels_do_not_reach_the_strategies(project, monkeypatch):
    from adrefine.strategies import refinement

    seen, run = [], refinement.run

    def watched(params, noisy, features, initial):
        seen.append(set(noisy.columns))
        return run(params, noisy, features, initial)

    monkeypatch.setattr(refinement, "run", watched)
    benchmark(written(Path("."), {**CONTENT, "seeds": [0]}), workers=1)
    assert seen
    assert not any({"label", "injected", "defect_type"} & columns for columns in seen)


def test_a_folder_of_prepared_photos_belongs_to_its_settings(tmp_path):
    cells = plan.cells(results(written(tmp_path, CONTENT))[0])
    base = next(iter(cells.values()))[0].params
    other = base.model_copy(update={"embed": base.embed.model_copy(update={"views": 2})})
    elsewhere = base.model_copy(update={"dataset": base.dataset.model_copy(update={"root": "other/raw"})})
    folders = {prepared.folder(base), prepared.folder(base, True), prepared.folder(other)}
    assert len(folders | {prepared.folder(elsewhere)}) == 4
