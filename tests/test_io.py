"""Files are whole or absent and the same byte for byte."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from adrefine import io


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
