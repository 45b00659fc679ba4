"""`adrefine promote`: what it needs, what it says, and what a human may override."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from adrefine import cli, manifest
from adrefine.dvc_driver import locks, processes
from adrefine.errors import UserError
from adrefine.manifest import DEFECT, GOOD
from adrefine.params import Params
from adrefine.serving import candidate, versions
from adrefine.serving.candidate import Candidate
from adrefine.serving.promotion import Record

UP_TO_DATE = "Data and pipelines are up to date.\n"
PROMOTED = Path("promoted")


class Workspace:
    """A project with 6 good and 6 defective test photos, whose model is wrong about some good ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wrong, self.status = 1, UP_TO_DATE
        monkeypatch.setattr(processes, "output", lambda command: self.status)
        monkeypatch.setattr(manifest, "read", lambda path: self.refined())
        monkeypatch.setattr(candidate, "of_workspace", self.candidate)

    def refined(self) -> pd.DataFrame:
        rows = [(f"{label}{n}", "test", label, 1, "test/x.png") for label in (GOOD, DEFECT) for n in range(6)]
        return pd.DataFrame(rows, columns=["image_id", "split", "label", "in_test", "source"])

    def candidate(self, settings: Params, held: pd.DataFrame, *_: str) -> Candidate:
        Path("weights").write_text(str(self.wrong))
        wrong = {f"{GOOD}{n}" for n in range(self.wrong)}
        score = [
            9.0 if name in wrong else float(label)
            for name, label in zip(held.image_id, held.label, strict=True)
        ]
        scores = held[["image_id"]].assign(score=score, likelihood=0.0)
        return Candidate({"model/weights": Path("weights")}, Record("the new model", "f", scores), {})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("noise: {level: 0}\n")
    return Workspace(monkeypatch)


def promote(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    cli.run(["promote", *arguments])
    return capsys.readouterr().out


def test_a_worse_model_is_refused_until_a_human_says_otherwise(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote(capsys).startswith("promoted as 0001, promoted/current: the first one")
    workspace.wrong = 3
    out = promote(capsys)
    assert out.startswith("refused, promoted/current stays 0001: worse by more than promotion.tolerance")
    assert "AUROC 0.5000, 0001 0.8333, both on the same 6 good and 6 defective held-out photos" in out
    assert "adrefine promote --anyway" in out
    out = promote(capsys, "--anyway")
    assert out.startswith("promoted as 0002, promoted/current: by hand, although worse by more than")
    best = versions.best(PROMOTED)
    assert best is not None
    assert best.name == "0002"  # what later models are compared with
    workspace.wrong = 2
    assert "no worse: AUROC 0.6667, 0002 0.5000" in promote(capsys)


def test_the_report_with_the_maps_is_kept_with_the_model_and_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Path("reports/report.html")
    report.parent.mkdir()
    report.write_text("maps of the first model")
    assert candidate.listed()["report.html"] == report

    def made(settings: Params, held: pd.DataFrame) -> Candidate:
        plain = workspace.candidate(settings, held)
        return Candidate({**plain.files, candidate.REPORT: report}, plain.record, {})

    monkeypatch.setattr(candidate, "of_workspace", made)
    out = promote(capsys)
    assert out.splitlines()[-1] == "Its maps of test photos are in promoted/current/report.html"
    report.write_text("maps of a later model, which is worse")
    workspace.wrong = 3
    assert "report.html" not in promote(capsys)
    assert (PROMOTED / "current/report.html").read_text() == "maps of the first model"


def test_a_promotion_without_a_report_names_none(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "report.html" not in candidate.listed()
    assert "report.html" not in promote(capsys)


def test_a_model_that_is_not_up_to_date_is_not_promoted(workspace: Workspace) -> None:
    workspace.status = "train:\n\tchanged deps: …\n"
    with pytest.raises(UserError, match="run `dvc repro` first"):
        cli.run(["promote"])
    assert not PROMOTED.exists()


def test_a_model_that_learned_hidden_defects_is_not_promoted(workspace: Workspace) -> None:
    Path("params.yaml").write_text("noise: {level: 0.2}\n")
    with pytest.raises(UserError, match=r"set noise\.level to 0"):
        cli.run(["promote", "--anyway"])


def _refined(content: str) -> None:
    Path("models/refined").mkdir(parents=True, exist_ok=True)
    Path("models/refined/weights").write_text(content)


@pytest.mark.parametrize("how", ["model", "model gone", "fails over it", "settings"])
def test_what_a_run_changes_while_the_model_is_scored_is_not_promoted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The scores would be of one model, the copy of another."""
    _refined("one")

    def scored(settings: Params, held: pd.DataFrame) -> Candidate:
        made = workspace.candidate(settings, held)
        if how == "settings":
            Path("params.yaml").write_text("noise: {level: 0}\nrefine: {strategy: osr}\n")
        elif how == "model gone":
            Path("models/refined/weights").unlink()
        else:
            _refined("other")
        if how == "fails over it":
            raise FileNotFoundError("models/refined/weights")
        return made

    monkeypatch.setattr(candidate, "of_workspace", scored)
    with pytest.raises(UserError, match="changed while they were promoted: another run is at work"):
        cli.run(["promote"])
    assert not PROMOTED.exists()


def test_an_error_over_files_that_stay_is_told_as_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Candidate:
        raise UserError("models/bundle is damaged")

    monkeypatch.setattr(candidate, "of_workspace", fails)
    with pytest.raises(UserError, match=r"^models/bundle is damaged$"):
        cli.run(["promote"])


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_run_at_work_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    told = iter([None] if when == "between" else [])
    monkeypatch.setattr(locks, "holder", lambda: next(told, "DVC is at work in this folder: process 7"))

    def busy(command: list[str]) -> str:
        raise processes.Failed(command, 1, ["ERROR: 'models' is busy, it is being blocked by:"])

    monkeypatch.setattr(processes, "output", busy)
    with pytest.raises(UserError, match=r"^DVC is at work in this folder: process 7$"):
        cli.run(["promote"])
