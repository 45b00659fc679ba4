"""Versions in a real repository of git and DVC: revisions, experiments, files; nothing is checked out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from adrefine import cli
from adrefine.comparing.version import find
from adrefine.errors import UserError
from pipeline.project import commit, git

LABELS = {"a": 0, "b": 1, "c": 0}
EVIDENCE = (
    "image_id,held_out,voter,weight,rank,score,row,column\n"
    "b,0,places,0.75,1,8.5,4,7\nb,0,pooled,0.25,2,1.5,,\n"
)
GRAPH = "stages: {refine: {cmd: cp -r made data/refined, deps: [made], outs: [data/refined]}}\n"


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "-q", *arguments], cwd=root, check=True)


def run(root: Path, out: str, auroc: float, strategy: str) -> None:
    """A run that leaves out the photos of `out`."""
    table = pd.DataFrame(
        {"image_id": list(LABELS), "path": "", "split": "train", "label": list(LABELS.values())}
    )
    kept = [int(name not in out) for name in LABELS]
    table = table.assign(
        kept=kept, score=2.0, threshold=1.0, relative_score=1.0, reviewed="", reason="", removed_round=""
    )
    (root / "made").mkdir(exist_ok=True)
    table.to_csv(root / "made/manifest.csv", index=False)
    (root / "made/evidence.csv").unlink(missing_ok=True)
    if out:
        (root / "made/evidence.csv").write_text(EVIDENCE)
    (root / "data").mkdir(exist_ok=True)
    dvc(root, "repro")
    (root / "reports").mkdir(exist_ok=True)
    measured = {
        "detection": {"initial": {"auroc": 0.75}, "refined": {"auroc": auroc}, "oracle": {"auroc": 0.97}},
        "cleaning": {"removed": len(out), "oracle_gap_closed": (auroc - 0.75) / 0.22},
        "noise": {"n_train": 3},
    }
    (root / "reports/metrics.json").write_text(json.dumps(measured))
    (root / "params.yaml").write_text(
        f"detector: padim\nrefine: {{strategy: {strategy}}}\nnoise: {{level: 0.2}}\n"
    )
    commit(root)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`b` is out, then nothing, then `a` and `b`; the last commit is an experiment's, not on the branch."""
    root = tmp_path_factory.mktemp("versions")
    git(root, "init", "-q")
    dvc(root, "init")
    (root / "dvc.yaml").write_text(GRAPH)
    (root / ".gitignore").write_text("/made\n/data\n")
    run(root, "b", 0.9, "mad")
    run(root, "", 0.8, "vanilla")
    (root / "notes.txt").write_text("another commit, the same photos")
    commit(root)
    branch = git(root, "rev-parse", "HEAD").strip()
    run(root, "ab", 0.95, "osr")
    git(root, "update-ref", f"refs/exps/{branch[:2]}/{branch[2:]}/shiny", "HEAD")
    git(root, "reset", "-q", "--hard", branch)
    dvc(root, "checkout")
    return root


@pytest.fixture(autouse=True)
def here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


def kept(name: str) -> set[str]:
    photos = find(name).photos
    return set(photos.index[photos["kept"] == 1])


def test_revisions_and_experiments_are_read_and_nothing_changes(repository: Path) -> None:
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    assert kept("HEAD~2") == {"a", "c"}
    assert kept("HEAD") == kept("workspace") == {"a", "b", "c"}
    assert kept("shiny") == {"c"}
    assert find("shiny").metrics["detection"]["refined"]["auroc"] == 0.95
    assert find("shiny").votes["b"].by["places"].score == 8.5
    assert find("HEAD").votes == find("workspace").votes == {}
    assert find("HEAD~2").settings["refine"]["strategy"] == "mad"
    assert (git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")) == before


def test_a_file_and_a_promoted_folder_are_versions(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("image_id,path\na,a.png\nb,b.png\n")
    assert kept(str(file)) == {"a", "b"}
    folder = tmp_path / "0001"
    folder.mkdir()
    (folder / "manifest.csv").write_text("image_id,path,kept\na,a.png,1\nb,b.png,0\n")
    assert kept(str(folder)) == {"a"}
    assert find(str(folder)).votes == {}
    (folder / "evidence.csv").write_text(EVIDENCE)
    assert find(str(folder)).votes == find(str(folder / "manifest.csv")).votes
    assert find(str(folder)).votes["b"].row == 4


def test_a_version_that_is_in_no_cache_is_told(repository: Path) -> None:
    cache = repository / ".dvc/cache"
    cache.rename(repository / "away")
    try:
        with pytest.raises(UserError, match=r"shiny: .*manifest\.csv of that version is not in DVC"):
            find("shiny")
    finally:
        (repository / "away").rename(cache)


def test_diff_in_the_terminal_and_as_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table, page = tmp_path / "d.csv", tmp_path / "d.html"
    cli.run(["diff", "HEAD~2", "shiny", "--csv", str(table), "--html", str(page)])
    out = capsys.readouterr().out
    assert "only HEAD~2 keeps: 1 photo\n  a " in out
    assert "refine.strategy: mad -> osr" in out
    assert ["test", "auroc", "0.900", "0.950"] in [line.split() for line in out.splitlines()]
    assert table.read_text().splitlines()[1].startswith("a,,only_a,1,0,")
    assert "only HEAD~2 keeps: 1" in page.read_text()
    cli.run(["diff", "HEAD", "--json"])
    assert json.loads(capsys.readouterr().out)["photos"] == []


def test_log_lists_workspace_experiments_and_the_commits_that_changed_the_photos(
    capsys: pytest.CaptureFixture[str], repository: Path
) -> None:
    cli.run(["log", "--json"])
    found = json.loads(capsys.readouterr().out)
    told = [(one["kind"], one["strategy"], one["kept"], one["removed"], one["auroc"]) for one in found]
    assert told == [
        ("workspace", "vanilla", 3, 0, 0.8),
        ("experiment", "osr", 1, 2, 0.95),
        ("commit", "vanilla", 3, 0, 0.8),
        ("commit", "mad", 2, 1, 0.9),
    ]
    assert (found[1]["name"], found[1]["subject"]) == ("shiny", "refine.strategy=osr")
    assert found[0]["digest"] == found[2]["digest"] != found[3]["digest"]
    assert all(kept(one["name"]) for one in found)
    cli.run(["log", "-n", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["version", "date", "strategy"]
    assert len(lines) == 4


def test_exp_is_a_narrow_table_of_the_experiments(
    capsys: pytest.CaptureFixture[str], repository: Path
) -> None:
    cli.run(["exp"])
    lines = capsys.readouterr().out.splitlines()
    head = git(repository, "log", "-1", "--format=%h").strip()
    assert max(map(len, lines)) < 110
    assert [line.split()[:8] for line in lines] == [
        ["version", "strategy", "noise", "removed", "before", "after", "ceiling", "gain"],
        ["workspace", "vanilla", "20%", "0", "0.750", "0.800", "0.970", "23%"],
        [head, "vanilla", "20%", "0", "0.750", "0.800", "0.970", "23%"],
        ["shiny", "osr", "20%", "2", "0.750", "0.950", "0.970", "91%"],
    ]
    assert lines[-1].endswith("  refine.strategy=osr")
    cli.run(["exp", "--json"])
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)] == [
        "workspace",
        "commit",
        "experiment",
    ]


@pytest.mark.parametrize("with_git", [True, False])
def test_where_nothing_ran_yet_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], with_git: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    if with_git:
        git(tmp_path, "init", "-q")
    cli.run(["log"])
    assert capsys.readouterr().out.splitlines()[-1] == "no version yet: run `dvc repro`, then commit dvc.lock"
    cli.run(["exp"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("no experiment yet: run `dvc repro`, commit")
