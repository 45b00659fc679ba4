"""Files are whole or absent and the same byte for byte."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time

import numpy as np
import pandas as pd
import pytest

from adrefine import io
from adrefine.errors import UserError


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "file.txt"
    io.write_text(path, "old\n")

    def write_half():
        with io.atomic_open(path) as file:
            file.write(b"half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old\n"
    assert list(path.parent.iterdir()) == [path]


def test_the_new_content_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "file.bin"
    io.write_bytes(path, b"old")
    with io.atomic_open(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_holds_neither_nan_nor_infinity(tmp_path, value):
    io.write_json(tmp_path / "a.json", {"a": {"b": [1, 2.5]}})
    with pytest.raises(ValueError, match="JSON compliant"):
        io.write_json(tmp_path / "a.json", {"a": {"b": [value]}})
    assert io.read_json(tmp_path / "a.json") == {"a": {"b": [1, 2.5]}}


def test_csv_is_the_same_byte_for_byte(tmp_path):
    rows = pd.DataFrame({"id": ["a,b", 'c"d', "é"], "x": [1 / 3, np.nan, 1e-12], "n": [1, 2, 30_000_000]})
    io.write_csv(tmp_path / "a.csv", rows)
    expected = 'id,x,n\n"a,b",0.3333333,1\n"c""d",,2\né,1e-12,30000000\n'
    assert (tmp_path / "a.csv").read_bytes() == expected.encode()
    rounding = rows.assign(x=rows["x"] * (1 + 1e-12)).set_index(np.array([7, 8, 9]))
    io.write_csv(tmp_path / "b.csv", rounding)
    assert (tmp_path / "b.csv").read_bytes() == expected.encode()


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    content = bytes(range(256)) * 5000
    io.write_bytes(tmp_path / "a", content)
    assert io.sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_timings_gather_by_stage_and_a_failed_stage_leaves_none(tmp_path):
    report = tmp_path / "timing.json"
    with io.timed(report, "train", lambda: {"epochs": 3}):
        pass
    with io.timed(report, "refine"):
        pass
    with pytest.raises(RuntimeError), io.timed(report, "evaluate"):
        raise RuntimeError
    timings = io.read_json(report)
    assert set(timings) == {"train", "refine"}
    assert timings["train"]["epochs"] == 3
    assert timings["train"]["seconds"] >= 0


def test_a_link_that_somebody_put_there_is_replaced_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "params.yaml").write_text("mine")
    link = tmp_path / "reasons.csv"
    link.symlink_to(tmp_path / "params.yaml")
    io.write_durably(link, b"new")
    assert (tmp_path / "params.yaml").read_text() == "mine"
    assert not link.is_symlink()
    assert link.read_text() == "new"


def test_no_name_under_which_a_file_is_written_can_be_foreseen(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(io.os, "replace", lambda source, target: seen.append(source))
    for _ in range(20):
        io.write_durably(tmp_path / "a", b"")
    assert len(set(seen)) == 20


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    for name in (".a.csv.x1.part", ".a.csv.x2.part", ".b.csv.x.part", "a.csv", ".a.csv"):
        (tmp_path / name).write_text("")
    io.sweep(tmp_path, "a.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.csv", ".b.csv.x.part", "a.csv"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_damaged_json_is_told_in_a_line(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is damaged \(no JSON\): delete it and run `dvc repro`"):
        io.read_json(tmp_path / "a.json")
    assert io.timings(tmp_path / "a.json") == {}


@pytest.mark.parametrize("content", [b"[1]", b"null", b"1", b'"a"'])
def test_json_of_another_kind_is_damaged(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json is damaged \(it holds a \w+\)"):
        io.read_json(tmp_path / "a.json")
    assert io.timings(tmp_path / "a.json") == {}


def test_a_file_without_what_is_read_of_it_is_damaged(tmp_path):
    for wrong in (lambda: {}["a"], lambda: [][0], lambda: None + 1, lambda: float("x")):
        with pytest.raises(UserError, match=r"m\.json is damaged"), io.whole(tmp_path / "m.json"):
            wrong()
    with pytest.raises(UserError, match="said already"), io.whole(tmp_path / "m.json"):
        raise UserError("said already")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("a.json", "zero"):
        with pytest.raises(UserError, match="is a pipe or a device, not a file"):
            io.content(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"1', b"a,b\n1,2,3,4\n1\n", b"\x00" * 100])
def test_a_damaged_table_is_told_in_a_line(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.csv is damaged \(.+\): delete it and run `dvc repro`"):
        io.read_csv(tmp_path / "a.csv", ("image_id",))


def test_a_full_disk_is_told_by_the_folder_whatever_the_library_says(tmp_path):
    def save():
        with io.atomic_open(tmp_path / "state.pt"):
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError:  # as torch does, in its own words
                raise RuntimeError("unexpected pos 117376 vs 117270")  # noqa: B904

    with pytest.raises(UserError, match=rf"^{tmp_path}: the disk is full: make room and run again"):
        save()
    assert list(tmp_path.iterdir()) == []


def test_whoever_holds_a_lock_is_waited_for(tmp_path):
    order = []

    def second():
        with io.changing(tmp_path / "a"):
            order.append("second")

    with io.changing(tmp_path / "a"):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    with (
        io.locked(tmp_path / "lock", "somebody is at work"),
        pytest.raises(UserError, match="somebody is at work: wait until it has ended"),
        io.locked(tmp_path / "lock", "somebody is at work"),
    ):
        pass


def test_a_lock_is_no_way_to_empty_a_file(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError), io.locked(tmp_path / "lock", "busy"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2,3\n", "line 2 has 3 cells, the first has 2"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells"),
        ("a,a\n1,2\n", "a column without a name, or two of one"),
        ("a,\n1,2\n", "a column without a name"),
        ('a,b\n"1,2\n', "unexpected end of data"),
    ],
)
def test_a_table_that_pandas_would_set_right_in_its_own_way_is_damaged(tmp_path, text, why):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(io.Damaged, match=why):
        io.read_csv(tmp_path / "table.csv")
