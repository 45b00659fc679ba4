"""What DVC would wait for, or trip over, is named before it starts."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adrefine import params
from adrefine.dvc_driver import preflight
from adrefine.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "good").mkdir(parents=True)
    (folder / "good/000.png").write_bytes(b"x")
    return folder


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (os.mkfifo, "a named pipe"),
    "socket": (_socket, "a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "nowhere": (lambda path: path.symlink_to("gone.png"), "a link that leads nowhere"),
    "itself": (lambda path: path.symlink_to(path.name), "a link that leads to itself"),
    "loop": (lambda path: path.symlink_to(path.parent.parent), "a link to a folder that it lies in"),
    "bytes": (lambda path: Path(os.fsdecode(os.fsencode(path) + b"\xff")).touch(), "not UTF-8"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_would_hang_or_stop_dvc_is_named(root: Path, kind: str) -> None:
    make, says = ODD[kind]
    make(root / "good/odd.png")
    with pytest.raises(UserError, match=rf"good/odd\.png.*: .*{says}.*: move it out of {root}"):
        preflight.check_folder(root)


def test_what_this_user_may_not_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("000.png"))
    with pytest.raises(UserError, match=r"good/000\.png: may not be read"):
        preflight.check_folder(root)


def test_photos_hidden_files_and_links_to_photos_pass(root: Path, tmp_path: Path) -> None:
    (root / ".hidden").touch()
    (root / "good/same.png").symlink_to("000.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/1.png").touch()
    (root / "good/more").symlink_to(tmp_path / "elsewhere")
    preflight.check_folder(root)
    preflight.check_folder(tmp_path / "missing")


def test_a_disk_that_does_not_answer_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(_: Path) -> Iterator[os.DirEntry[str]]:
        time.sleep(30)
        return iter(())

    monkeypatch.setattr(os, "scandir", hang)
    start = time.monotonic()
    with pytest.raises(UserError, match="does not answer"):
        preflight.check_folder(root, patience=0.1)
    assert time.monotonic() - start < 5


def test_folders_without_end_and_an_error_on_the_way_are_one_line(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    for _ in range(300):
        os.mkdir("d")
        os.chdir("d")
    with pytest.raises(UserError, match=r"folders in each other, over 100 deep: .*move it out of"):
        preflight.check_folder(root)
    monkeypatch.setattr(preflight, "_problem", lambda _: 1 / 0)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be searched \(ZeroDivisionError"):
        preflight.check_folder(root)
    assert time.monotonic() - start < 5


def test_the_folders_are_those_of_params_yaml(tmp_path: Path, root: Path) -> None:
    (tmp_path / "params.yaml").write_text("dataset: {root: photos}\npretrain_pdn: {images: generic}\n")
    (tmp_path / "generic").mkdir()
    preflight.check(tmp_path)
    os.mkfifo(tmp_path / "generic/pipe")
    with pytest.raises(UserError, match="generic/pipe: a named pipe"):
        preflight.check(tmp_path)
    for broken in ("dataset: [1]", "dataset: {root: 3}", "{", "dataset: {root: !!bool x}", ""):
        (tmp_path / "params.yaml").write_text(broken)
        preflight.check(tmp_path)


@pytest.mark.parametrize("name", ["params.yaml", "dvc.lock", "data/review.csv"])
def test_what_stands_where_dvc_reads_a_file(tmp_path: Path, name: str) -> None:
    preflight.check(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    makes = (os.mkfifo, Path.mkdir, lambda it: it.symlink_to("/dev/zero"), lambda it: it.symlink_to("none"))
    for make in makes:
        make(path)
        with pytest.raises(UserError, match=rf"{name} is not a file"):
            preflight.check(tmp_path)
        path.rmdir() if path.is_dir() else path.unlink()
    path.write_text("")
    preflight.check(tmp_path)


@pytest.mark.parametrize(
    ("root", "says"), [("/", "holds the project"), ("..", "holds"), ("/proc", "system folder")]
)
def test_a_whole_disk_is_not_gone_through(tmp_path: Path, root: str, says: str) -> None:
    (tmp_path / "params.yaml").write_text(f"dataset: {{root: {root}}}\n")
    with pytest.raises(UserError, match=says):
        preflight.check(tmp_path)


@pytest.mark.parametrize("key", ["dataset.root", "inbox.folder"])
@pytest.mark.parametrize("name", ["~/photos", "$HOME/photos", "${HOME}/photos"])
def test_what_dvc_does_not_know_in_a_path_is_told_with_what_to_write(key: str, name: str) -> None:
    section, _, inner = key.partition(".")
    written = str(Path("~/photos").expanduser())
    with pytest.raises(UserError, match=rf"`{key}` = .+: DVC does not know .+: write '{written}'"):
        preflight.check_settings(params.parse({section: {inner: name}}))


@pytest.mark.parametrize("reads", [(), ("pixel",), "places"])
def test_a_detector_that_does_not_say_what_it_reads_is_told_before_a_stage_runs(
    monkeypatch: pytest.MonkeyPatch, reads: object
) -> None:
    settings = params.parse({"detector": "glass"})
    monkeypatch.setattr(type(settings.chosen_detector), "reads", reads)
    with pytest.raises(UserError, match=r"the detector glass reads .+: its Settings.reads must be a tuple"):
        preflight.check_settings(settings)


def test_a_full_or_read_only_disk_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ROOM", 2**62)
    with pytest.raises(UserError, match=r"MB left on its disk: make room first"):
        preflight.check(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=f"{tmp_path} cannot be written"):
        preflight.check(tmp_path)
