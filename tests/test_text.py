"""Words and tables for people."""

from __future__ import annotations

import pytest

from adrefine import text
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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("good/1.png", "good/1.png"),
        ("[x](javascript:alert(1)).png", "[x] (javascript :alert(1)).png"),
        ("a`b <img src=x>", "a'b ‹img src=x›"),
        ("JavaScript\t:alert(1)", "JavaScript :alert(1)"),
    ],
)
def test_a_name_is_no_link_and_no_script_on_a_page(name: str, shown: str) -> None:
    assert text.harmless(name) == shown
