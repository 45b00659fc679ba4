"""`adrefine init`: from an empty folder to a result, with the package alone; what it refuses."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from adrefine import cli, params
from adrefine.errors import UserError
from pipeline import photos
from pipeline.project import REPOSITORY, STAGES, TINY, Project, with_changes


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder beside photos of two products, and no repository above."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for product in ("bottle", "my, screws"):
        photos.write_tree(tmp_path / "photos" / product)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def settings(root: Path) -> params.Params:
    return params.load_whole(root / "params.yaml")


def test_a_project_is_written_and_says_what_comes_next(here: Path, capsys: Any) -> None:
    cli.run(["init", "--photos", "../photos/bottle"])
    out = capsys.readouterr().out
    assert "layout mvtec" in out
    assert out.splitlines()[-1] == "Next: adrefine run"
    made = settings(here)
    assert (made.dataset.name, made.noise.level) == ("mvtec", 0)
    assert Path(made.dataset.root) == here.parent / "photos/bottle"
    assert {path.name for path in here.iterdir()} == {
        *(".dvc", ".dvcignore", ".git", ".gitignore", "code.yaml", "data", "dvc.yaml", "params.yaml"),
    }
    assert (here / "params.yaml").read_text().count("#") == (REPOSITORY / "params.yaml").read_text().count(
        "#"
    )


def test_several_products_lie_side_by_side(here: Path, capsys: Any) -> None:
    with pytest.raises(UserError, match="holds 2 products"):
        cli.run(["init", "--photos", "../photos"])
    subprocess.run(["git", "init", "-q"], check=True)
    for name, folder in (("bottle", "bottle"), ("screws", "my, screws")):
        cli.run(["init", name, "--photos", f"../photos/{folder}"])
        assert capsys.readouterr().out.splitlines()[-1] == f"Next: cd {name} && adrefine run"
        assert settings(here / name).dataset.root == str(here.parent / "photos" / folder)
        assert not (here / name / ".git").exists()


def test_home_and_variables_are_expanded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here.parent))
    monkeypatch.setenv("PRODUCT", "bottle")
    cli.run(["init", "one", "--photos", "~/photos/$PRODUCT", "--no-git"])
    assert settings(here / "one").dataset.root == str(here.parent / "photos/bottle")
    assert not (here / "one" / ".git").exists()
    monkeypatch.delenv("PRODUCT")
    with pytest.raises(UserError, match=r"the environment variable \$PRODUCT is not set"):
        cli.run(["init", "two", "--photos", "~/photos/$PRODUCT"])
    assert not (here / "two").exists()


def test_photos_inside_the_project_are_named_relatively_and_not_given_to_git(here: Path) -> None:
    photos.write_tree(here / "pictures")
    cli.run(["init", "--photos", "pictures"])
    assert settings(here).dataset.root == "pictures"
    status = subprocess.run(
        ["git", "status", "--porcelain"], capture_output=True, text=True, check=True
    ).stdout
    assert "pictures" not in status


def test_every_folder_that_the_demo_depends_on_is_there_and_given_to_git(here: Path) -> None:
    cli.run(["init", "--photos", "demo"])
    deps = yaml.safe_load((here / "dvc.yaml").read_text())["stages"]["ingest"]["deps"]
    named = [name.replace("${dataset.root}", settings(here).dataset.root) for name in deps]
    assert [name for name in named if not (here / name).exists()] == []
    subprocess.run(["git", "add", "-A"], check=True)
    status = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    assert "data/raw/README.md" in status.splitlines()


def test_what_is_refused_writes_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, says in (
        (["--photos", "nowhere"], "nowhere is no folder"),
        (["--photos", "../photos/bottle", "--layout", "mvtek"], "--layout: `dataset.name`"),
        (["--photos", "../photos/bottle", "--layout", "ksdd2"], "holds no photo"),
    ):
        with pytest.raises(UserError, match=says):
            cli.run(["init", *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UserError, match="--photos FOLDER"):
        cli.run(["init"])
    assert list(here.iterdir()) == []
    (here / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(UserError, match=r"is already a project \(dvc.yaml\)"):
        cli.run(["init", "--photos", "../photos/bottle"])


def test_what_dvc_refuses_is_said_and_leaves_no_folder(here: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    (here / ".gitignore").write_text("ignored/\n")
    with pytest.raises(UserError, match=r"DVC: .*ignored by your SCM"):
        cli.run(["init", "ignored/new", "--photos", "../photos/bottle"])
    assert not (here / "ignored/new").exists()


@pytest.mark.pipeline
def test_the_package_alone_runs_from_init_to_the_result(here: Path, capsys: Any) -> None:
    """No file of this repository but those of the package; `python` is found without an active venv."""
    environment = Project.environment(_Here(here)) | {
        "PATH": os.defpath,
        "PYTHONPATH": str(REPOSITORY / "src"),
    }

    def adrefine(*arguments: str) -> str:
        command = [sys.executable, "-m", "adrefine", *arguments]
        done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    adrefine("init", "--photos", "../photos/my, screws")
    own = yaml.safe_load((here / "params.yaml").read_text())
    small = {key: value for key, value in TINY.items() if not key.startswith("dataset.name")}
    small |= {"detector": "padim", "refine.strategy": "consensus", "dataset.root": own["dataset"]["root"]}
    (here / "params.yaml").write_text(with_changes(own, small))
    said = adrefine("run")
    assert all(f"Running stage '{stage}'" in said for stage in STAGES)
    assert (here / "reports/report.html").is_file()
    assert "training photos" in adrefine("summary")
    code = yaml.safe_load((here / "code.yaml").read_text())
    (here / "code.yaml").write_text(yaml.safe_dump(code | {"evaluate": "0" * 16}))
    lock = (here / "dvc.lock").read_text()
    again = adrefine("run")
    assert "the code of evaluate changed" in again
    assert "Running stage" not in again  # the digest is that of the run before
    assert (here / "dvc.lock").read_text() == lock


class _Here:
    """What `Project.environment` asks of a project."""

    paths: tuple[str, ...] = ()
    warm: Mapping[str, str] = {}

    def __init__(self, root: Path) -> None:
        self.root = root
