"""What people expect of any command: its version, JSON, completion, no colours when told so."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import adrefine
from adrefine import cli
from adrefine.errors import UserError
from adrefine.io import write_json

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    cli.run([*arguments, "--json"])
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


@pytest.mark.parametrize("module", ["adrefine", "adrefine.cli"])
def test_the_version_and_the_modules_that_run_the_command(module):
    command = [sys.executable, "-m", module, "--version"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout == f"adrefine {adrefine.__version__}\n"


def test_the_package_has_its_types_and_this_version(tmp_path):
    """A wheel of the sources: `py.typed` is in it."""
    source = shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source.parent)
    code = "import setuptools.build_meta as b; b.build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = tmp_path.glob(f"adrefine-{adrefine.__version__}-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"adrefine/py.typed", "adrefine/__main__.py", "adrefine/cli/check.py"} <= set(names)


def test_a_check_as_json(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    assert shown(capsys, "check") == {
        "sound": True, "dataset": "demo", "detector": "padim", "strategy": "consensus", "mended": [],
        "files": "", "looked": "", "warnings": [],
    }  # fmt: skip
    (tmp_path / "params.yaml").write_text("noize: {}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        cli.run(["check", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said == {"sound": False, "error": str(caught.value), "mended": []}
    assert "did you mean `noise`?" in said["error"]


def test_a_summary_as_json_has_every_metric(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    metrics = {"noise": {"realised": 0.2, "n_train": 10}, "cleaning": {"removed": 0, "rounds": 1}}
    write_json(tmp_path / "reports/metrics.json", metrics)
    assert shown(capsys, "summary") == {"metrics": metrics, "timing": {}, "report": "reports/report.html"}


def test_the_review_queue_and_an_answer_as_json(monkeypatch, capsys, tmp_path):
    """All of the queue, not its first; a doubt that is not there is null."""
    monkeypatch.chdir(tmp_path)
    ids = [f"{number:02d}e1" for number in range(20)]
    table = pd.DataFrame({"image_id": ids, "path": ids, "split": "train"})
    for folder, rows, name in (
        ("noisy", table, "manifest.csv"),
        ("refined", table.assign(doubt=[0.5, *[""] * 19], reason="kept"), "review_queue.csv"),
    ):
        (tmp_path / "data" / folder).mkdir(parents=True)
        rows.to_csv(tmp_path / "data" / folder / name, index=False)
    asked = ["review", "03e1", "remove", "--note", "scratch"]
    said = {"image_id": "03e1", "verdict": "remove", "note": "scratch"}
    assert shown(capsys, *asked) == said | {"was": None}
    assert shown(capsys, "review", "03", "keep")["was"] == {"verdict": "remove", "note": "scratch"}
    listed = shown(capsys, "review")
    assert [row["image_id"] for row in listed["unanswered"]] == [*ids[:3], *ids[4:]]
    assert [row["doubt"] for row in listed["unanswered"][:2]] == [0.5, None]
    assert listed["answers"] == {"03e1": {"verdict": "keep", "note": ""}}


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_the_completion_knows_commands_and_options(shell, capsys):
    cli.run(["completion", shell])
    script = capsys.readouterr().out
    for word in ("benchmark", "promote", "dry-run", "anyway"):
        assert word in script


def test_the_tab_key_completes_in_bash(capsys):
    cli.run(["completion", "bash"])
    script = capsys.readouterr().out
    for words, found in (
        (["adrefine", "rev"], "review"),
        (["adrefine", "review", "x", "re"], "remove"),
        (["adrefine", "benchmark", "--dr"], "--dry-run"),
        (["adrefine", "benchmark", "pyproj"], "pyproject.toml"),
    ):
        asked = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _shtab_adrefine"
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{asked}; echo \"${{COMPREPLY[@]}}\""],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [found]


@pytest.mark.parametrize("arguments", [["--help"], ["check"], ["nothing"]])
def test_without_colours_nothing_is_coloured_in_a_terminal(arguments):
    """NO_COLOR counts whatever else asks for colours (Python 3.14 has them in helps and errors)."""
    here, there = pty.openpty()
    environment = {**ENVIRONMENT, "NO_COLOR": "1", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "adrefine", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, stdin=there, stdout=there, stderr=there)
    os.close(there)
    said = os.read(here, 65536)
    os.close(here)
    assert b"adrefine" in said or b"params.yaml is correct" in said
    assert b"\x1b[" not in said
