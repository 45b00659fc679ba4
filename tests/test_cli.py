"""`adrefine check` is quick enough to come first, and refuses what a run that does nothing lets pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trees
from adrefine import cli
from adrefine.errors import UserError
from adrefine.io import write_json

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "pandas", "numpy", "PIL", "sklearn", "matplotlib", "dvc", "prefect"}


def test_a_sound_file_is_one_line(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    cli.run(["check"])
    assert capsys.readouterr() == ("params.yaml is correct: demo, padim, consensus\n", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("osr: {lamda: 2}\n", "unknown key `osr.lamda`: did you mean `lambda`?"),
        ("noize: {}\n", "unknown key `noize`: did you mean `noise`?"),
        ("irp: {}\nirp: {}\n", "key `irp` appears twice, in lines 1 and 2: remove one"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, text, says):
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["adrefine", "check"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"adrefine: error: params.yaml: {says}\n")


@pytest.mark.parametrize("arguments", [["check"], ["--help"], ["review", "--help"], ["completion", "bash"]])
def test_what_comes_first_imports_nothing_heavy(arguments):
    code = f"""if True:
        import atexit, sys
        atexit.register(lambda: print(*sys.modules, file=sys.stderr))
        from adrefine import cli
        cli.run({arguments})"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    needed = {"numpy"} if arguments == ["check"] else set()  # strategies and defects, whose sections it reads
    assert not (HEAVY - needed) & set(done.stderr.split())


def test_the_help_names_the_commands_and_the_order(capsys):
    with pytest.raises(SystemExit):
        cli.run(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "adrefine check && dvc repro && adrefine summary" in shown
    assert "wrong with params.yaml" in shown
    assert "compare strategies over datasets" in shown


def test_the_help_of_benchmark_teaches(capsys):
    with pytest.raises(SystemExit):
        cli.run(["benchmark", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "irp in sample: {refine: {strategy: irp, scorer: in_sample}}" in shown
    assert "stopped at any moment, the same command goes on" in shown
    assert "default: benchmarks/example.yaml" in shown


@pytest.mark.parametrize("wrong", [["--workers", "0"], ["--workers", "x"], ["--dry-run", "--render-only"]])
def test_impossible_options_of_benchmark_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.run(["benchmark", *wrong])
    assert caught.value.code == 2
    assert "usage: adrefine benchmark" in capsys.readouterr().err


def test_a_dry_run_of_the_default_lists_its_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    cli.run(["benchmark", "--dry-run"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("30 runs: ")
    assert last.endswith("results in benchmarks/results/example.csv")


def test_a_summary_tells_the_throughput_of_a_distillation_that_ran(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    metrics = {
        "noise": {"realised": 0.2, "n_train": 10},
        "cleaning": {"removed": 0, "rounds": 1},
    }
    write_json(tmp_path / "reports/metrics.json", metrics)
    cli.run(["summary"])
    assert "distillation" not in capsys.readouterr().out
    for throughput, shown in ((0.0, False), (12.5, True)):
        timing = {"pretrain_pdn": {"seconds": 3.0, "steps": 2, "images_per_second": throughput}}
        write_json(tmp_path / "reports/timing.json", timing)
        cli.run(["summary"])
        assert ("distillation        12.5 images a second" in capsys.readouterr().out) == shown


def test_a_summary_before_any_run_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run `dvc repro` first"):
        cli.run(["summary"])


def test_check_counts_the_files_and_names_what_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trees.folder(tmp_path / "raw", good=3, defects=2)
    (tmp_path / "raw/good/phone.avif").write_bytes(b"")
    others = ("validate", "noise", "synthesize", "embed", "pretrain_pdn", "refine")
    sections = [
        "dataset: {name: folder, root: raw}",
        "runtime: {engine: auto, precision: auto}",
        *(f"{name}: {{}}" for name in (*others, "padim", "consensus", "evaluate")),
    ]
    (tmp_path / "params.yaml").write_text("\n".join(sections))
    cli.run(["check"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "raw: 8 files: 5 photos, 2 masks, 1 ignored"
    assert lines[2] == "looked at 5 of 5: 40 x 32 (5)"
    assert lines[3].startswith("warning: 1 picture not used: .avif is not read: convert it to PNG (1, such")
    (tmp_path / "raw/defect").rename(tmp_path / "away")
    with pytest.raises(UserError, match="defect is missing"):
        cli.run(["check"])


def test_check_says_what_is_wrong_with_the_region_of_interest(tmp_path, monkeypatch):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"(?m)^  roi:", "  roi: data/roi/none.png", text, count=1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"dataset\.roi = data/roi/none\.png is not there: put a mask"):
        cli.run(["check"])


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "/elsewhere/net.pth",
            "DVC watches data/weights for it: put the file there and name it data/weights/",
        ),
        ("data/weights/net.pth", "is missing: put the file there, or leave the key empty"),
    ],
)
@pytest.mark.parametrize("section", ["embed", "pretrain_pdn"])
def test_check_says_what_is_wrong_with_a_file_of_weights(tmp_path, monkeypatch, section, file, said):
    before, found, after = (ROOT / "params.yaml").read_text().partition(f"\n{section}:\n")
    changed = re.sub(r"(?m)^  weights:", f"  weights: {file}", after, count=1)
    (tmp_path / "params.yaml").write_text(before + found + changed)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^{section}\.weights = {file}:? {said}"):
        cli.run(["check"])


def test_a_tilde_in_the_root_is_refused_with_the_full_path(tmp_path, monkeypatch):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(re.sub(r"(?m)^  root: \S+", "  root: ~/photos", text, count=1))
    monkeypatch.chdir(tmp_path)
    full = re.escape(str(Path.home() / "photos"))
    with pytest.raises(
        UserError, match=rf"`dataset.root` = '~/photos': DVC does not know `~`: write '{full}'"
    ):
        cli.run(["check"])
