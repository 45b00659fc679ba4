"""Ten thousand photos in a real browser: a key is answered, the grid shows a page and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes import MapStore
from review_page import page_process

pytestmark = pytest.mark.browser

COUNT = 10_000
CELLS = "#cells [role=option]"


def test_keys_answer_and_the_grid_goes_page_by_page(browser: Any, tmp_path: Path) -> None:
    store = MapStore(20, count=COUNT)
    with page_process.made(tmp_path, store, shared=True) as page, page_process.served(page):
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(60_000)  # milliseconds
        wrong: list[str] = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(page.address)
        tab.locator("#name:not(:empty)").wait_for()
        first = tab.locator("#name").inner_text()
        tab.keyboard.press("r")
        tab.get_by_text("1 of 10,000 answered").wait_for()
        assert tab.locator("#name").inner_text() != first
        assert list(page.answers().values()) == ["remove"]
        tab.keyboard.press("g")
        tab.locator("#range", has_text="1 to 60 of 10,000").wait_for()
        assert tab.locator(CELLS).count() == 60
        tab.locator(CELLS).first.focus()
        tab.keyboard.press("PageDown")
        tab.locator("#range", has_text="61 to 120 of 10,000").wait_for()
        assert tab.locator(CELLS).count() == 60
        tab.close()
        assert wrong == []
