"""`adrefine promote`: what it needs, what it says, and what a human may override."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from adrefine import cli, manifest
from adrefine.dvc_driver import processes
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


def test_a_model_that_is_not_up_to_date_is_not_promoted(workspace: Workspace) -> None:
    workspace.status = "train:\n\tchanged deps: …\n"
    with pytest.raises(UserError, match="run `dvc repro` first"):
        cli.run(["promote"])
    assert not PROMOTED.exists()


def test_a_model_that_learned_hidden_defects_is_not_promoted(workspace: Workspace) -> None:
    Path("params.yaml").write_text("noise: {level: 0.2}\n")
    with pytest.raises(UserError, match=r"set noise\.level to 0"):
        cli.run(["promote", "--anyway"])
