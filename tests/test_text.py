"""Words and tables for people."""

from __future__ import annotations

from adrefine.text import counted, markdown


def test_one_photo_and_more():
    assert [counted(number, "photo") for number in (0, 1, 2, 1000)] == [
        "0 photos", "1 photo", "2 photos", "1,000 photos",
    ]  # fmt: skip


def test_a_table():
    assert markdown(["stage", "", "seconds"], [("train", "ran", 1.5), ("refine", "", "")], ["seconds"]) == [
        "| stage |  | seconds |",
        "|---|---|---:|",
        "| train | ran | 1.5 |",
        "| refine |  |  |",
        "",
    ]
    assert markdown(["a"], []) == ["| a |", "|---|", ""]
