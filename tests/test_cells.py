"""Names of photos and notes are no formulas in a spreadsheet, and read back as they were."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine import cells, io, manifest


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", "'=1", "''+1", "＝1"])
def test_what_would_run_gets_an_apostrophe_and_loses_it(text: str) -> None:
    assert cells.tame(text) == f"'{text}"
    assert cells.wild(cells.tame(text)) == text


@pytest.mark.parametrize("text", ["", "good/a=b.png", "'quoted'", "'", "1-2", "don't"])
def test_other_text_stays(text: str) -> None:
    assert cells.tame(text) == cells.wild(text) == text


@given(st.text(alphabet="'=+-@\t\r\nab1 "))
def test_every_text_comes_back(text: str) -> None:
    assert cells.wild(cells.tame(text)) == text


def test_a_manifest_is_safe_to_open_and_reads_back(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0.png", "-a.png", "'-a.png", "plain.png"]
    table = pd.DataFrame({"image_id": list("abcd"), "path": "p", "source": names, "score": [-1.5, 2, -3, 4]})
    manifest.write(tmp_path / "m.csv", table)
    text = (tmp_path / "m.csv").read_text().splitlines()
    assert text[1:3] == ["a,p,'=cmd|' /C calc'!A0.png,-1.5", "b,p,'-a.png,2"]
    back = manifest.read(tmp_path / "m.csv")
    assert list(back["source"]) == names
    assert list(back["score"]) == [-1.5, 2, -3, 4]


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    io.write_csv(
        tmp_path / "t.csv", pd.DataFrame({"a": [-1, None], "b": pd.Series([-2, "-2"], dtype=object)})
    )
    assert (tmp_path / "t.csv").read_text() == "a,b\n-1,-2\n,'-2\n"
