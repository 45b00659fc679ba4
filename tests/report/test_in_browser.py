"""The report in Chromium, as a file: photos enlarge, lists sort, no script but its own may run."""

from __future__ import annotations

import pytest

import chromium
from adrefine.report import html, plots
from adrefine.report.originals import Originals
from report.test_lists import ASIDE

A4 = 718  # pixels between the margins of a printed page

pytestmark = pytest.mark.browser


def test_photos_enlarge_and_lists_sort_without_a_network(data, tmp_path):
    figures = ("mcc", "recall", "fpr", "precision", "f1", "accuracy")
    decided = dict.fromkeys(figures, 0.5) | dict.fromkeys(("tp", "fn", "fp", "tn"), 1000)
    data.metrics["thresholds"] = {
        "refined": dict.fromkeys(("conformal", "validation_f1", "test_f1"), decided)
    }
    plots.write_all(data, tmp_path / "plots")
    file = tmp_path / "report.html"
    file.write_text(html.render(data, tmp_path / "plots", 3, Originals(), ASIDE))
    with chromium.started() as browser:
        page = browser.new_page(offline=True)
        wrong = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(file.as_uri())
        page.get_by_role("button", name="Enlarge train/0.png").first.click()
        dialog = page.get_by_role("dialog")
        assert (
            dialog.get_by_role("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 40
        )
        first = dialog.locator("p").inner_text()
        page.keyboard.press("ArrowRight")
        assert dialog.locator("p").inner_text() != first
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
        head = page.get_by_role("button", name="score / limit")
        table = page.locator("table.sortable", has=head)
        seen = []
        for _ in range(2):
            head.click()
            seen.append(table.locator("tbody td:nth-child(3)").all_inner_texts())
        assert seen == [["2", "2.5", "3"], ["3", "2.5", "2"]]
        assert table.locator("th[aria-sort=descending]").count() == 1
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')"
        )
        assert page.title() != "1"
        assert [line for line in wrong if "Content Security Policy" not in line] == []
        page.emulate_media(media="print")
        page.set_viewport_size({"width": A4, "height": 1000})
        assert page.get_by_text("The same detector at three thresholds").count() == 1  # the widest table
        wide = "tables => tables.map((one) => one.getBoundingClientRect().right)"
        assert max(page.locator("table:visible").evaluate_all(wide)) <= A4
        page.close()
