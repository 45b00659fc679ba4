"""`adrefine run`: mistakes are told before DVC starts; settings are written, `dvc repro` is followed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from adrefine import cli, params
from adrefine.dvc_driver import health
from adrefine.dvc_driver import repro as driver
from adrefine.dvc_driver.repro import Event
from adrefine.errors import UserError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A folder with params.yaml and a DVC that only says that it ran; whether it was forced, by run."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    found: list[bool] = []

    def events(force: bool) -> Iterator[Event]:
        found.append(force)
        yield Event("train", "ran", "Running stage 'train':")

    monkeypatch.setattr(driver, "events", events)
    return found


def test_settings_are_written_and_the_lines_shown(
    ran: list[bool], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["run", "-S", "noise.level=0", "-S", "refine.strategy=osr", "--force"])
    assert ran == [True]
    settings = params.load()
    assert (settings.noise.level, settings.refine.strategy) == (0, "osr")
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "params.yaml: noise.level = 0",
        "params.yaml: refine.strategy = osr",
        "Running stage 'train':",
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("noise.level", "write KEY=VALUE"),
        ("noise.level=2", "noise.level"),
        ("nois.level=0", "no key `nois"),
        ("noise.level=[", "-S noise.level is not valid YAML"),
        ("noise.seed=2026-13-45", "cannot be read as timestamp"),
        ("noise.seed=2026-01-31", "`noise.seed`.*valid integer"),
        ("noise.seed=!!bool x", "cannot be read as bool"),
        ("noise.seed=" + "9" * 5000, "cannot be read as int"),
        ("noise.seed=" + "[" * 500, "more than 20 deep"),
        ("noise.seed=&a [*a]", "alias of itself"),
        ("noise.seed=010", "without leading 0"),
        ("noise.seed=1\n---\n2", "not valid YAML"),
        ("=1", "no key ``"),
        ("noise=1", "is a section"),
    ],
)
def test_a_wrong_setting_changes_and_runs_nothing(ran: list[bool], given: str, says: str) -> None:
    before = Path("params.yaml").read_bytes()
    with pytest.raises(UserError, match=says):
        cli.run(["run", "-S", given])
    assert Path("params.yaml").read_bytes() == before
    assert ran == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            "embed.weights=/elsewhere/net.pth",
            r"embed\.weights = /elsewhere/net\.pth: DVC watches data/weights",
        ),
        ("dataset.roi=data/roi/none.png", r"data/roi/none\.png"),
        ("inbox.folder=src", r"inbox\.folder"),
        ("noise.n_train=9", r"noise\.n_train` = 9: refine\.strategy = consensus needs 10"),
        ("synthesize.per_image=0", r"synthesize\.per_image` = 0: refine\.strategy = consensus compares"),
    ],
)
def test_what_a_setting_names_is_looked_at_before_a_stage_is(ran: list[bool], given: str, says: str) -> None:
    Path("src").mkdir()
    with pytest.raises(UserError, match=says):
        cli.run(["run", "-S", given])
    assert ran == []


def test_a_dvc_that_is_at_work_is_not_disturbed(ran: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "look", lambda: f"DVC is at work in this folder: process {os.getpid()}")
    with pytest.raises(UserError, match="DVC is at work"):
        cli.run(["run"])
    assert ran == []


def test_a_folder_that_cannot_be_written_is_told_before_anything_is(
    ran: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path("params.yaml").read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=rf"{Path.cwd()} cannot be written"):
        cli.run(["run", "-S", "noise.level=0"])
    assert (ran, Path("params.yaml").read_bytes()) == ([], before)
