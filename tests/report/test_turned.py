"""The report's part on turned photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adrefine.io import write_json
from adrefine.report import html, plots
from adrefine.report.turned import Turned, find


@pytest.fixture
def ingested(tmp_path: Path) -> Path:
    for folder, size in (("examples", (256, 128)), ("images", (64, 64))):
        (tmp_path / folder).mkdir()
        for name in ("aa", "bb"):
            Image.new("L", size, 90).save(tmp_path / folder / f"{name}.png")
    facts = {"fit": "part", "fit_reason": "they spread", "not_turned": {"no part found": 3}}
    write_json(tmp_path / "summary.json", facts)
    return tmp_path


def test_pairs_and_the_reason(ingested: Path) -> None:
    found = find(ingested)
    assert [pair.name for pair in found.pairs] == ["aa", "bb"]
    assert "(they spread). Stretched instead: 3 photos: no part found." in found.intro
    assert found.pairs[0].before != found.pairs[0].after


def test_nothing_where_nothing_was_turned_or_cannot_be_read(ingested: Path, tmp_path: Path) -> None:
    assert find(tmp_path / "nowhere") == Turned()
    (ingested / "images/aa.png").write_bytes(b"broken")
    assert [pair.name for pair in find(ingested).pairs] == ["bb"]


def test_the_page_shows_them_only_where_there_are_some(data, ingested: Path, tmp_path: Path) -> None:
    plots.write_all(data, tmp_path / "plots")
    plain = html.render(data, tmp_path / "plots")
    shown = html.render(replace(data, turned=find(ingested)), tmp_path / "plots")
    assert "turned to their part" not in plain
    assert shown.count('turned and cropped">') == 2
    assert '<a href="#turned">' in shown
