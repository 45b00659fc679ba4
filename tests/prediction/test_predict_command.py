"""`adrefine predict`: its table, its pictures, its page, what it does with bad files, its exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adrefine import cli
from adrefine.errors import UserError
from prediction.made import Made, made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A bundle, and a folder `new` with five photos, one of another size, and two that are none."""
    monkeypatch.chdir(tmp_path)
    found = made("padim")
    new = tmp_path / "new"
    (new / "deeper").mkdir(parents=True)
    for source in sorted(found.photos.values(), key=lambda path: path.name)[-4:]:
        shutil.copyfile(source, new / source.name)
    Image.fromarray(np.full((50, 70, 3), (200, 30, 30), np.uint8)).save(new / "deeper/odd.png")
    (new / "cut.png").write_bytes((new / "20.png").read_bytes()[:300])
    (new / "empty.jpg").touch()
    (new / "notes.txt").write_text("no photo")
    return found


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_what_is_no_photo_and_names_that_are_no_text_are_told_and_stop_nothing(
    run: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    new = Path("new/deeper")
    for name in (b"\xff#50%.png", b"\x1b[31m.png"):
        shutil.copyfile("new/20.png", os.fsencode(new) + b"/" + name)
    (new / "raw.dng").write_bytes(Path("new/20.png").read_bytes())  # its preview is not the photo
    (new / "gone.png").symlink_to("nowhere.png")
    arguments = ["predict", str(new), "--model", str(run.bundle)]
    cli.run([*arguments, "--out", "found"])
    table = {row["path"]: row for row in rows(Path("found/predictions.csv"))}
    good = {"new/deeper/\\xff#50%.png", "new/deeper/\x1b[31m.png", "new/deeper/odd.png"}
    assert {name for name, row in table.items() if row["score"]} == good
    assert table["new/deeper/raw.dng"]["note"] == ".dng is not read: develop it to PNG"
    assert "No such file" in table["new/deeper/gone.png"]["note"]
    page = Path("found/predictions.html").read_text()
    assert all(f'src="maps/{picture.name}"' in page for picture in Path("found/maps").iterdir())
    capsys.readouterr()
    cli.run(arguments)
    assert "\x1b" not in capsys.readouterr().out
    cli.run([*arguments, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert {os.fsencode(one["path"]) for one in said["results"]} >= {b"new/deeper/\xff#50%.png"}


def test_the_table_the_pictures_and_the_page(run: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["predict", "new", "--model", str(run.bundle), "--out", "found"])
    said = capsys.readouterr()
    assert "5 photos: " in said.out
    assert "2 unreadable, see found/predictions.html" in said.out
    assert (
        "1 photo that differ from the training photos, the first: new/deeper/odd.png: 70x50 pixels"
        in said.err
    )
    table = {row["path"]: row for row in rows(Path("found/predictions.csv"))}
    assert list(table) == sorted(table, key=lambda name: ("deeper" in name, name))
    assert table["new/cut.png"]["verdict"] == table["new/empty.jpg"]["verdict"] == "unreadable"
    assert "0 bytes" in table["new/empty.jpg"]["note"]
    scores = run.scores()
    spotted = table["new/20.png"]
    assert float(spotted["score"]) == pytest.approx(scores[spotted["sha256"][:16]], rel=1e-8)
    assert (spotted["verdict"] == "defective") == (float(spotted["score"]) > 1.5)
    assert 40 <= int(spotted["x"]) < 110
    pictures = sorted(Path("found/maps").iterdir())
    assert len(pictures) == 5
    with Image.open(next(path for path in pictures if path.stem.endswith("-20"))) as picture:
        assert picture.size == (160, 128)
    page = Path("found/predictions.html").read_text()
    order = [
        page.index(f"<br>{name}<")
        for name in sorted(table, key=lambda n: -float(table[n]["score"] or -1))[:5]
    ]
    assert order == sorted(order)
    assert "Unreadable" in page


def test_again_into_the_same_folder_but_not_over_strangers(run: Made) -> None:
    arguments = ["predict", "new/20.png", "--model", str(run.bundle), "--out", "found", "--maps", "heat"]
    cli.run(arguments)
    cli.run([arguments[0], "new/19.png", *arguments[1:]])
    assert len(rows(Path("found/predictions.csv"))) == len(list(Path("found/maps").iterdir())) == 2
    Path("mine/maps").mkdir(parents=True)
    with pytest.raises(UserError, match="mine/maps is there already"):
        cli.run([*arguments[:-4], "--out", "mine"])


def test_json_is_one_object(run: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["predict", "new/*.png", "--model", str(run.bundle), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert {Path(one["path"]).name for one in said["results"]} == {"19.png", "20.png", "cut.png"}
    assert said["summary"]["unreadable"] == 1
    readable = next(one for one in said["results"] if one["path"].endswith("20.png"))
    assert set(readable["top_place"]) == {"x", "y", "width", "height"}


def test_without_maps_there_is_no_place(run: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["predict", "new/20.png", "--model", str(run.bundle), "--json", "--maps", "none"])
    assert json.loads(capsys.readouterr().out)["results"][0]["top_place"] is None


@pytest.mark.parametrize("asked", ["nowhere", "new/*.bmp"])
def test_what_names_nothing_is_a_mistake(run: Made, asked: str) -> None:
    with pytest.raises(UserError, match="give photos, folders or patterns"):
        cli.run(["predict", asked, "--model", str(run.bundle)])


def test_a_script_learns_of_a_defect_by_the_exit_code(run: Made) -> None:
    arguments = ["predict", "--model", str(run.bundle), "--fail-on-defect"]
    scores = {path.name: run.scores()[name] for name, path in run.photos.items()}
    usual = [name for name, score in scores.items() if score <= 1.5]
    odd = [name for name, score in scores.items() if score > 1.5]
    folder = next(iter(run.photos.values())).parent
    cli.run([*arguments, str(folder / usual[0])])
    for bad in (folder / odd[0], Path("new/cut.png")):
        with pytest.raises(SystemExit) as stopped:
            cli.run([*arguments, str(folder / usual[0]), str(bad)])
        assert stopped.value.code == 1


def test_it_works_away_from_the_project(run: Made, tmp_path: Path) -> None:
    """Of a moved bundle, with no dvc.yaml and no cache around; nothing is left in the folder."""
    away = tmp_path / "away"
    away.mkdir()
    shutil.move(shutil.copytree(run.bundle, tmp_path / "copy"), away / "model")
    known = {name: value for name, value in os.environ.items() if name != "ADREFINE_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-m", "adrefine.cli", "predict", str(tmp_path / "new/20.png"), "--model", "model"],
        cwd=away,
        env=known | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert "1 photo: " in done.stdout
    assert [path.name for path in away.iterdir()] == ["model"]
