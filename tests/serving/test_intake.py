"""Photos get from the inbox into the dataset: each once, none lost, whatever interrupts."""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine import datasets
from adrefine.datasets.files import from_inbox, inbox_name
from adrefine.errors import UserError
from adrefine.params import Dataset
from adrefine.serving import intake
from adrefine.serving.intake import Taken, Watch, check_folders, look, settled, take
from serving.killing import alone, until_it_survives
from trees import pixels, save

SMALL = 1.0  # megapixels


class Place:
    """An inbox beside a dataset in the mvtec layout with two photos."""

    def __init__(self, root: Path) -> None:
        self.inbox, self.root = root / "inbox", root / "photos"
        self.arrivals = self.root / "train/good"
        self.undecided = root / "promoted/undecided"
        for number in range(2):
            save(self.arrivals / f"{number:03d}.png", pixels(number))
        save(self.root / "test/scratch/000.png", pixels(50))
        self.inbox.mkdir(parents=True)

    def drop(self, name: str, seed: int) -> bytes:
        return save(self.inbox / name, pixels(seed)).read_bytes()

    def take(self, names: list[str] | None = None) -> Taken:
        there = list(look(self.inbox)) if names is None else names
        return take(self.inbox, there, self.root, self.arrivals, self.undecided, SMALL)

    @property
    def photos(self) -> list[bytes]:
        """Content of all in the dataset, sorted."""
        return sorted(path.read_bytes() for path in self.root.rglob("*") if path.is_file())

    def everything(self) -> dict[str, bytes]:
        """Files of inbox and dataset, hidden ones too."""
        return {
            path.relative_to(self.root.parent).as_posix(): path.read_bytes()
            for folder in (self.inbox, self.root)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def name_of(content: bytes, name: str) -> str:
    return f"inbox-{hashlib.sha256(content).hexdigest()[:16]}-{name}"


def test_a_photo_moves_to_the_training_photos(place: Place) -> None:
    content = place.drop("a.png", 7)
    assert place.take() == Taken(new=["a.png"])
    assert (place.arrivals / name_of(content, "a.png")).read_bytes() == content
    assert not look(place.inbox)
    assert place.undecided.exists()


def test_same_name_other_photo_and_same_photo_other_name(place: Place) -> None:
    """Names that collide are told apart by content; the same photo is taken once, wherever it is already."""
    dropped = {place.drop(name, seed) for name, seed in (("x/a.png", 7), ("y/a.png", 8), ("b.png", 7))}
    place.drop("again.png", 0)
    place.drop("tested.png", 50)
    before = place.photos
    taken = place.take()
    assert (sorted(taken.new), sorted(taken.known)) == (
        ["b.png", "y/a.png"],
        ["again.png", "tested.png", "x/a.png"],
    )
    assert place.photos == sorted([*before, *dropped])
    assert not look(place.inbox)


def test_only_known_photos_leave_nothing_to_decide(place: Place) -> None:
    place.drop("again.png", 0)
    assert place.take() == Taken(known=["again.png"])
    assert not place.undecided.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"no image", "not an image"),
        (None, "damaged or truncated"),
        ("big", "max_megapixels"),
    ],
)
def test_what_is_no_photo_is_set_aside_with_the_reason(
    place: Place, content: bytes | str | None, reason: str
) -> None:
    if content == "big":
        data = save(place.inbox / "odd,name.png", pixels(1, 1200, 900)).read_bytes()
    else:
        data = place.drop("odd,name.png", 9)[:-60] if content is None else bytes(content)
        (place.inbox / "odd,name.png").write_bytes(data)
    before = place.photos
    taken = place.take()
    assert reason in taken.rejected["odd,name.png"]
    with (place.inbox / "rejected/reasons.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reason"] == taken.rejected["odd,name.png"]
    assert (place.inbox / "rejected" / row["file"]).read_bytes() == data
    assert place.photos == before
    assert not look(place.inbox)
    assert not place.undecided.exists()


def test_a_picture_of_a_kind_that_is_not_read_is_set_aside_with_the_remedy(place: Place) -> None:
    (place.inbox / "phone.avif").write_bytes(b"\0\0\0\x18ftypavif")
    (place.inbox / "moving.GIF").write_bytes(b"GIF89a")
    taken = place.take()
    assert taken.rejected == {
        "moving.GIF": ".GIF is not read: convert it to PNG",
        "phone.avif": ".avif is not read: convert it to PNG",
    }
    assert sorted(path.suffix for path in (place.inbox / "rejected").iterdir()) == [".GIF", ".avif", ".csv"]


def test_a_photo_still_being_written_is_not_lost_when_it_is_rejected(place: Place) -> None:
    whole = place.drop("slow.png", 9)
    with (place.inbox / "slow.png").open("wb") as writer:
        writer.write(whole[:100])
        writer.flush()
        place.take()
        writer.write(whole[100:])
    (there,) = (place.inbox / "rejected").glob("*-slow.png")
    assert there.read_bytes() == whole


def test_other_files_are_set_aside_too(place: Place) -> None:
    (place.inbox / "sub").mkdir()
    for name in ("notes.txt", "sub/labels.JSON", "photo"):
        (place.inbox / name).write_text("nothing")
    rule = "photos end in .png, .jpg, .tif and so on"
    taken = place.take()
    assert taken.rejected == {
        "notes.txt": f".txt is no photo: {rule}",
        "photo": f"a name without a suffix: {rule}",
        "sub/labels.JSON": f".JSON is no photo: {rule}",
    }
    assert f"rejected: notes.txt: .txt is no photo: {rule}" in taken.lines()
    kept = (place.inbox / "rejected").iterdir()
    assert sorted(path.name.split("-")[-1] for path in kept) == [
        *("labels.JSON", "notes.txt", "photo", "reasons.csv"),
    ]
    assert look(place.inbox) == {}


def test_hidden_files_links_and_unfinished_copies_stay_with_a_word(place: Place, tmp_path: Path) -> None:
    elsewhere = save(tmp_path / "elsewhere/a.png", pixels(3))
    (place.inbox / "sub").mkdir()
    (place.inbox / "sub/link.png").symlink_to(elsewhere)
    (place.inbox / ".a.png").write_bytes(elsewhere.read_bytes())
    (place.inbox / "b.png.PART").write_bytes(elsewhere.read_bytes())
    before = place.everything()
    assert look(place.inbox) == {}
    taken = place.take()
    assert taken.lines() == [
        "0 new photos taken, 0 were there already",
        "left: .a.png: hidden",
        "left: b.png.PART: an unfinished copy, by its name",
        "left: link.png: a link: copy the photo itself",
    ]
    assert place.everything() == before


def test_a_photo_that_went_away_is_no_error(place: Place) -> None:
    assert place.take(["gone.png"]) == Taken()


def test_a_photo_replaced_while_it_is_taken_stays_for_the_next_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.drop("a.png", 7)
    write, second = intake.write_durably, b""

    def replace(path: Path, content: bytes) -> None:
        nonlocal second
        write(path, content)
        if path.parent == place.arrivals and not second:
            second = place.drop("new.png", 8)
            os.replace(place.inbox / "new.png", place.inbox / "a.png")

    monkeypatch.setattr(intake, "write_durably", replace)
    place.take(["a.png"])
    assert list(look(place.inbox)) == ["a.png"]
    place.take()
    assert {first, second} <= set(place.photos)


def test_only_photos_that_do_not_change_are_settled(place: Place) -> None:
    place.drop("done.png", 1)
    place.drop("growing.png", 2)
    before = look(place.inbox)
    with (place.inbox / "growing.png").open("ab") as file:
        file.write(b"more")
    place.drop("late.png", 3)
    assert settled(before, look(place.inbox)) == ["done.png"]


def test_a_copy_of_the_same_length_has_changed(place: Place) -> None:
    place.drop("a.png", 1)
    before = look(place.inbox)
    state = (place.inbox / "a.png").stat()
    os.utime(place.inbox / "a.png", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert settled(before, look(place.inbox)) == []


def test_watching_starts_one_run_for_each_state_of_the_inbox() -> None:
    watch, one, two = Watch(), {"a.png": (1, 1, 1)}, {"a.png": (1, 1, 1), "b.png": (2, 2, 2)}
    assert not watch.due(one, False)  # it may still be written
    assert watch.due(one, False)
    assert watch.due(one, False)  # nobody could start it
    watch.started()
    assert not watch.due(one, False)  # it failed: not again and again
    assert not watch.due(two, False)  # the new one may still be written
    assert watch.due(two, False)
    watch.started()
    assert not watch.due({}, False)
    assert not watch.due({}, False)
    assert watch.due({}, True)  # killed after it took photos
    watch.started()
    assert not watch.due({}, True)


def test_an_inbox_within_the_dataset_is_refused(tmp_path: Path) -> None:
    for inner, outer in (("photos/inbox", "photos"), ("data", "data/photos"), ("data", "data")):
        with pytest.raises(UserError, match=r"inbox\.folder = .*overlap"):
            check_folders(tmp_path / inner, tmp_path / outer)
    check_folders(tmp_path / "data/inbox", tmp_path / "data/raw")


def test_two_runs_at_once_are_refused(place: Place) -> None:
    place.drop("a.png", 7)
    place.undecided.parent.mkdir()
    with (place.undecided.parent / ".inbox.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run"):
            place.take()
    assert list(look(place.inbox)) == ["a.png"]


def _many(place: Place) -> None:
    for name, seed in (("x/a.png", 7), ("y/a.png", 8), ("b.png", 7), ("known.png", 0)):
        place.drop(name, seed)
    (place.inbox / "bad.png").write_bytes(b"no image")


def test_killed_at_any_moment_the_next_run_ends_in_the_same_state(tmp_path: Path) -> None:
    """SIGKILL at each line in turn of what takes photos and writes files; then once more, to the end."""
    alone(_kills, tmp_path)


def _kills(root: Path) -> None:
    os.fsync = lambda _: None  # for power cuts; slow, and a kill does not need it
    calm = Place(root / "calm")
    there = calm.photos
    _many(calm)
    calm.take()

    def attempt(number: int) -> tuple[Callable[[], object], Callable[[], None]]:
        place = Place(root / str(number))
        _many(place)
        dropped = set(place.everything().values())

        def check() -> None:
            assert dropped <= set(place.everything().values())
            assert place.undecided.exists() or place.photos == there
            place.take()
            assert place.everything() == calm.everything()
            assert place.undecided.exists()

        return place.take, check

    assert until_it_survives(attempt, ("serving/intake.py", "adrefine/io.py")) > 100


@pytest.mark.parametrize("call", ["replace", "fsync", "rename", "unlink"])
def test_a_full_or_broken_disk_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    _many(place)
    dropped = set(place.everything().values())

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises((OSError, UserError), match=r"No space left|the disk is full"):
            place.take()
    assert dropped <= set(place.everything().values())
    place.take()
    assert not look(place.inbox)
    assert len(place.photos) == 3 + 2


names = st.text(min_size=1, max_size=300).map(lambda text: text.replace("/", "") + ".png")


@given(names, st.binary(min_size=1, max_size=8))
def test_any_name_becomes_one_that_a_disk_and_a_table_hold(name: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    made = inbox_name(digest, name)
    assert from_inbox(f"train/good/{made}")
    assert made.startswith(f"inbox-{digest[:16]}-")
    assert len(os.fsencode(f".{made}.part")) <= 255
    assert made.isprintable() or not any(ord(c) < 32 or ord(c) == 0x7F for c in made)
    assert "/" not in made
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / made).touch()


def test_only_names_that_the_inbox_gives_count_as_from_it() -> None:
    assert not from_inbox("good/inbox-photo.png")
    assert not from_inbox("inbox-0123456789abcdef-a/photo.png")


def layouts() -> Iterator[tuple[str, str, str]]:
    yield "mvtec", "train/good", "train/good"
    yield "folder", "good", "good"
    yield "folder", "defect", "good"
    yield "folder", "", ""


@pytest.mark.parametrize(("name", "made", "arrivals"), layouts())
def test_where_new_photos_go(tmp_path: Path, name: str, made: str, arrivals: str) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    assert datasets.arrivals(Dataset(name=name, root=str(tmp_path))) == tmp_path / arrivals


@pytest.mark.parametrize("name", ["demo", "ksdd2", "mtd"])
def test_datasets_that_take_no_photos_say_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"set dataset\.name to folder or mvtec"):
        datasets.arrivals(Dataset(name=name, root=str(tmp_path)))


def test_photos_from_the_inbox_are_never_tested_on(tmp_path: Path) -> None:
    for number in range(40):
        save(tmp_path / "good" / inbox_name(f"{number:016x}", f"{number}.png"), pixels(number, 8, 8))
        save(tmp_path / f"good/{number}.png", pixels(100 + number, 8, 8))
    save(tmp_path / "defect/0.png", pixels(300, 8, 8))
    _, table, _, _ = datasets.read(Dataset(name="folder", root=str(tmp_path), test_fraction=0.5))
    ours = table["source"].map(from_inbox)
    assert set(table.loc[ours, "split"]) == {"train"}
    assert set(table.loc[~ours & (table["label"] == 0), "split"]) == {"train", "test"}


@pytest.mark.parametrize(
    "folder",
    [
        *(
            "",
            ".",
            "..",
            "/",
            "data",
            "data/ingested",
            "docs/inbox",
            "src",
            ".dvc/cache",
            ".adrefine",
            "promoted",
        ),
        *("Docs/inbox", "DATA/", "data/Prepared", ".adrefine/serve", ".venv", "exports", "to docs", "to all"),
        *("store/inbox", "elsewhere", "pictures/generic", "made", "data/.new", "data/review.csv"),
    ],
)
def test_no_folder_of_the_project_is_an_inbox(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "elsewhere")
    save(tmp_path / "docs/inbox/picture.png", pixels(3))
    (tmp_path / "to docs").symlink_to("docs")
    (tmp_path / "to all").symlink_to("..")
    (tmp_path / "made").symlink_to("nowhere")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(
        "[cache]\n    dir = ../store\n['remote \"far\"']\n    url = ../made\n"
    )
    with pytest.raises(UserError, match=r"inbox\.folder = .+: use a separate folder for the inbox"):
        check_folders(Path(folder), place.root, images=Path("pictures"))
    if folder.startswith("pictures"):
        return
    with pytest.raises(UserError, match=r"inbox\.folder = .+: use a separate folder for the inbox"):
        take(Path(folder), ["picture.png"], place.root, place.arrivals, place.undecided, SMALL)
    assert (tmp_path / "docs/inbox/picture.png").exists()
    check_folders(Path("data/inbox"), Path("data/raw"))
    check_folders(Path("new photos"), place.root)


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("loop", r"cannot be a folder"),
        ("a\0b", r"cannot be a folder \(.*null"),
        ("x" * 300, r"xxx….* cannot be a folder"),
        ("nowhere", r"leads nowhere"),
        ("a file", r"is no folder"),
        ("home", r"contains a whole home folder"),
        ("~/new", r"`inbox.folder` = '~/new': DVC does not know `~`"),
        ("$HOME/new", r"DVC does not know variables"),
    ],
)
def test_an_inbox_that_is_no_folder_or_too_much_is_told_in_a_line(
    folder: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home/me"))
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "a file").write_text("")
    with pytest.raises(UserError, match=says):
        check_folders(Path(folder), Path("data/raw"))
    check_folders(tmp_path / "home/me/new photos", Path("data/raw"))


@pytest.mark.parametrize("kind", ["link", "link that leads nowhere", "file", "pipe"])
@pytest.mark.parametrize("name", ["inbox/rejected", "photos/train/good"])
def test_no_file_is_moved_to_where_somebody_made_a_folder_lead(place: Place, name: str, kind: str) -> None:
    top = place.root.parent
    place.drop("new.png", 9)
    (place.inbox / "bad.png").write_bytes(b"no photo")
    other, target = top / "docs", top / name
    save(other / "picture.png", pixels(3))
    if target.exists():
        target.rename(top / "before")
    if kind.startswith("link"):
        target.symlink_to(other if kind == "link" else top / "gone")
    elif kind == "file":
        target.write_text("")
    else:
        os.mkfifo(target)
    with pytest.raises(
        UserError, match=rf"{name} is (no folder|a link that leads out of .+): .*take it away"
    ):
        place.take(["bad.png", "new.png"])
    assert [path.name for path in other.iterdir()] == ["picture.png"]
    assert {"new.png", "bad.png"} <= {path.name for path in place.inbox.iterdir()}


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\0", b'file,reason\n"open', b"other\n1,2,3\n", b"\0" * 99]
)
def test_a_damaged_list_of_reasons_stops_nothing(place: Place, content: bytes) -> None:
    (place.inbox / "rejected").mkdir()
    (place.inbox / "rejected/reasons.csv").write_bytes(content)
    (place.inbox / "=bad.png").write_bytes(b"no photo")
    done = place.take()
    assert list(done.rejected) == ["=bad.png"]
    (told,) = intake._read_reasons(place.inbox / "rejected/reasons.csv") or {}
    assert told.endswith("=bad.png")
    assert content in [path.read_bytes() for path in (place.inbox / "rejected").glob("*-reasons.csv")]


def test_a_link_in_the_place_of_a_list_overwrites_nothing(place: Place, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("mine")
    (place.inbox / "rejected").mkdir()
    for name in ("reasons.csv", ".reasons.csv.part"):
        (place.inbox / "rejected" / name).symlink_to(tmp_path / "params.yaml")
    (place.inbox / "bad.png").write_bytes(b"no photo")
    assert place.take().rejected
    assert (tmp_path / "params.yaml").read_text() == "mine"
