"""The graph of a project that uses the installed package: what follows an upgrade, and what does not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from adrefine.dvc_driver import health
from adrefine.runtime import steady
from adrefine.starting import graph
from pipeline.project import REPOSITORY, STAGES


def test_it_is_the_repositorys_with_a_digest_in_the_place_of_the_code() -> None:
    own = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    made = yaml.safe_load(graph.graph())["stages"]
    for name, stage in own.items():
        stage["deps"] = [dep for dep in stage["deps"] if not dep.startswith("src/")]
        stage["params"] = [{"code.yaml": [name]}, *stage["params"]]
    assert made == own
    assert set(graph.digests()) == set(STAGES)


def test_a_digest_changes_with_the_code_of_its_stage_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "adrefine"
    shutil.copytree(graph._PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(graph, "_PACKAGE", package)
    before = graph.digests()
    (package / "strategies" / "osr.py").write_text("# another rule\n")
    (package / "strategies" / "notes.md").write_text("words\n")
    (package / "cli" / "run_more.py").write_text("# no stage reads it\n")
    (package / "strategies" / "__pycache__").mkdir()
    (package / "strategies" / "__pycache__" / "x.pyc").write_bytes(b"x")
    after = graph.digests()
    assert {name for name in before if before[name] != after[name]} == {"refine"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    graph.write(tmp_path)
    return tmp_path


def test_an_upgrade_is_followed_and_said(project: Path) -> None:
    assert graph.refresh() is None
    old = yaml.safe_load((project / "code.yaml").read_text()) | {"adrefine": "0.0.1", "refine": "0" * 16}
    (project / "code.yaml").write_text(yaml.safe_dump(old))
    (line,) = health.mend()
    assert line.endswith("the code of refine changed")
    assert yaml.safe_load((project / "code.yaml").read_text())["refine"] == graph.digests()["refine"]
    assert health.mend() == []


@pytest.mark.parametrize("damaged", ["refine: 2026-13-45\n", "[" * 60_000, "\0", "- a\n", ""])
def test_a_damaged_list_of_code_is_written_anew(project: Path, damaged: str) -> None:
    whole = (project / "code.yaml").read_text()
    (project / "code.yaml").write_text(damaged)
    assert "changed" in str(graph.refresh())
    assert (project / "code.yaml").read_text() == whole


def test_a_graph_of_an_older_version_is_replaced_and_ones_own_is_not(project: Path) -> None:
    fresh = (project / "dvc.yaml").read_text()
    before = yaml.safe_load((project / "code.yaml").read_text())
    for text, edited in (("stages: {}\n", False), (f"{fresh}# mine\n", True)):
        (project / "dvc.yaml").write_text(text)
        known = "0" * 16 if edited else graph._of_text(text)
        (project / "code.yaml").write_text(yaml.safe_dump(before | {"adrefine": "0.0.1", "graph": known}))
        line = graph.refresh()
        assert line is not None
        assert ("dvc.yaml is yours and stays" in line) == edited
        assert (project / "dvc.yaml").read_text() == (text if edited else fresh)


def test_a_folder_without_code_yaml_is_left_alone(tmp_path: Path) -> None:
    assert graph.refresh(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_stage_fails_if_the_package_is_upgraded_while_it_runs(project: Path) -> None:
    before = steady.fingerprints("validate")
    assert "code.yaml" in before
    (project / "code.yaml").write_text("validate: other\n")
    assert steady.fingerprints("validate") != before


def test_nothing_is_in_git_that_git_ignores() -> None:
    """Side caches, results and environments, wherever a command was started."""
    command = ["git", "ls-files", "--ignored", "--cached", "--exclude-per-directory=.gitignore"]
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout == ""


def test_dvc_finds_one_pipeline_in_the_repository() -> None:
    """A second dvc.yaml anywhere would be one more to status, experiments and promotion."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert [name for name in listed.splitlines() if Path(name).name in ("dvc.yaml", "params.yaml")] == [
        *("dvc.yaml", "params.yaml"),
    ]
