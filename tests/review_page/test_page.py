"""The page in a real browser: keys, undo, grid, two tabs, hostile names, a run, a phone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adrefine import params, paths
from fakes import MapStore
from review_page import page_process
from review_page.page_process import Page

pytestmark = pytest.mark.browser

STORE = MapStore(8, count=140)
HOSTILE = {
    "im000": "<img src=x onerror=\"document.title='hit'\">.png",
    "im001": "'\"><script>document.title='hit'</script>.png",
    "im002": "‮gnp.exe&lt;b&gt;.png",
}
LINKS = {"file:///photos/im050.png": "im050.png", "../secret.png": "secret.png"}
CELLS = "#cells [role=option]"  # the select has options, too
PATIENCE = 10_000  # milliseconds


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with page_process.made(folder, STORE, held=["im139"], names=HOSTILE) as page, page_process.served(page):
        yield page


@pytest.fixture
def page(served: Page) -> Page:
    """Without an answer."""
    (served.folder / paths.REVIEW).unlink(missing_ok=True)
    served.room.state()
    assert served.room.follower.settle(20)
    return served


@pytest.fixture
def opened(browser: Any, page: Page) -> Iterator[Callable[..., Any]]:
    """Opens the page in a tab of its own; at the end nothing must have gone wrong in any."""
    contexts, wrong = [], []

    def open_tab(hash_: str = "", **options: Any) -> Any:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(PATIENCE)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: wrong.append(dialog.message))
        tab.goto(page.address + hash_)
        tab.locator("[role=option]:visible, #name:not(:empty):visible").first.wait_for()
        return tab

    yield open_tab
    titles = [one.title() for context in contexts for one in context.pages]
    for context in contexts:
        context.close()
    assert wrong == []
    assert "hit" not in titles


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def test_a_key_is_an_answer_and_the_next_photo_is_there(opened: Any, page: Page) -> None:
    tab = opened()
    first = page.room.state()["next"][0]
    assert tab.locator("#name").inner_text() == first["name"]
    assert tab.locator("#why li").all_inner_texts() == first["why"]
    rows = [row.locator("th, td").all_inner_texts() for row in tab.locator("#votes tr").all()]
    assert rows == first["votes"]
    press(tab, "r")
    assert tab.locator("#name").inner_text() != first["name"]
    press(tab, "k", "u")
    until(lambda: list(page.answers().values()) == ["remove", "keep", "unsure"], "all are in the file")
    assert next(iter(page.answers())) == first["id"]
    tab.get_by_text("3 of 139 answered: about").wait_for()
    tab.get_by_text("The next run leaves out").wait_for()


def test_the_next_photos_are_loaded_before_they_are_shown(opened: Any, page: Page) -> None:
    tab = opened()
    waits = tab.evaluate("""async () => {
        const waits = [];
        for (let n = 0; n < 8; n += 1) {
            await new Promise((done) => setTimeout(done, 150));
            const begin = performance.now();
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "u", bubbles: true }));
            await document.getElementById("photo").decode();
            waits.push(performance.now() - begin);
        }
        return waits;
    }""")
    assert sorted(waits)[4] < 100  # milliseconds
    until(lambda: len(page.answers()) == 8, "all are in the file")


def test_slow_answers_of_the_server_take_no_connection_from_the_photos(
    opened: Any, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser has six to a server: what the next run leaves out is asked for once at a time."""
    tab, go, asked = opened(), threading.Event(), []

    def foreseen() -> dict[str, Any]:
        asked.append(time.monotonic())
        go.wait(30)
        return {"leaves": None, "by_you": 0, "strategy": "a test"}

    monkeypatch.setattr(page.room, "foreseen", foreseen)
    for count in range(1, 4):
        press(tab, "u")
        until(lambda count=count: len(page.answers()) == count, "it is in the file")
        tab.wait_for_timeout(900)
    assert len(asked) == 1
    go.set()
    tab.get_by_text("those that a test removes").wait_for()


def test_after_a_run_other_pictures_stand_under_the_same_ids(opened: Any, page: Page) -> None:
    tab = opened()
    name = tab.locator("#name").inner_text()
    (shown,) = (card for card in page.room.state()["next"] if card["name"] == name)
    file = page.folder / page.room.album.files[shown["id"]]
    size = "id => document.getElementById(id).naturalWidth"
    until(lambda: tab.evaluate(size, "photo") == 40, "it is shown")
    before = file.read_bytes()
    Image.new("L", (30, 30), 200).save(file)
    page.runs.append(["done"])
    (page.folder / paths.REPORTS).mkdir(exist_ok=True)
    (page.folder / paths.REPORTS / "report.html").write_text("<p>done")
    tab.get_by_role("link", name="Apply").click()
    tab.get_by_role("button", name="Apply").click()
    tab.frame_locator("#result").get_by_text("done").wait_for()
    tab.get_by_role("link", name="One by one").click()
    until(lambda: tab.evaluate(size, "photo") == 30, "the photo of now is shown")
    assert tab.locator("#name").inner_text() == name
    tab.keyboard.press("g")
    image = tab.locator(CELLS).first.locator("img")
    shape = "image => image.decode().then(() => image.naturalWidth / image.naturalHeight)"
    until(lambda: image.evaluate(shape) == 1, "its thumbnail is made anew")
    file.write_bytes(before)


def test_undo_note_back_skip_and_reload(opened: Any, page: Page) -> None:
    tab = opened()
    name = tab.locator("#name")
    first = name.inner_text()
    press(tab, "n")
    tab.keyboard.type("a scratch; kept r")
    press(tab, "Enter", "r")
    until(lambda: list(page.answers().values()) == ["remove"], "it is in the file")
    assert ",remove,a scratch; kept r" in (page.folder / paths.REVIEW).read_text()
    press(tab, "ArrowRight", "ArrowLeft", "ArrowLeft")
    assert name.inner_text() == first
    assert tab.locator("#answer").inner_text() == "Your answer: remove"
    assert tab.get_by_role("button", name="Remove").first.get_attribute("aria-pressed") == "true"
    tab.reload()
    tab.locator("#name:not(:empty)").wait_for()
    assert name.inner_text() != first
    press(tab, "z")
    until(lambda: page.answers() == {}, "it is taken back")
    tab.locator("#name", has_text=first).wait_for()
    press(tab, "z")
    tab.locator("#spoken", has_text="nothing to undo").wait_for(state="attached")


def test_map_zoom_and_views_by_key(opened: Any, page: Page) -> None:
    tab = opened()
    heat = tab.locator("#heat")
    heat.wait_for()
    press(tab, "m")
    heat.wait_for(state="hidden")
    tab.locator("#heat-strength").fill("30")
    press(tab, "m")
    assert heat.evaluate("heat => heat.style.opacity") == "0.3"
    press(tab, "+")
    native = tab.locator("#native")
    native.wait_for()
    until(lambda: native.evaluate("image => image.clientWidth") == 40, "it has its own pixels")
    press(tab, "Escape")
    native.wait_for(state="hidden")
    press(tab, "?")
    tab.get_by_role("dialog", name="Keys").wait_for()
    press(tab, "r")  # not while the keys are explained
    tab.get_by_label("Answer with single keys").uncheck()
    press(tab, "Escape", "r", "g")
    assert not tab.locator("#grid").is_visible()
    assert page.answers() == {}


def test_grid_by_keyboard(opened: Any, page: Page) -> None:
    tab = opened("#grid")
    cells = tab.locator(CELLS)
    tab.locator("#range", has_text="1 to 60 of 140").wait_for()
    assert cells.count() == 60
    whole = [cell["id"] for cell in page.room.grid("all", "suspicious", 0, 60)["cells"]]
    press(tab, "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight")
    tab.get_by_text("3 selected").wait_for()
    assert cells.nth(2).get_attribute("aria-selected") == "true"
    press(tab, "r")
    until(lambda: page.answers() == dict.fromkeys(whole[1:4], "remove"), "three are removed")
    tab.get_by_text("none selected").wait_for()
    press(tab, "PageDown")
    tab.locator("#range", has_text="61 to 120 of 140").wait_for()
    press(tab, "End", " ", "k")
    until(lambda: len(page.answers()) == 4, "the last of the page is kept")
    press(tab, "z", "z")
    until(lambda: page.answers() == {}, "both are taken back, one selection at a time")
    press(tab, "PageUp")
    tab.locator("#range", has_text="1 to 60 of 140").wait_for()
    press(tab, "Home", "Enter")
    tab.locator("#triage:not([hidden])").wait_for()
    assert tab.locator("#name").inner_text() == page.room.card(whole[0])["name"]


def test_grid_filters_sorts_and_clicks(opened: Any, page: Page) -> None:
    page.room.answer("other", ["im050", "im051"], "keep", None)
    tab = opened("#grid")
    tab.get_by_role("button", name="answered 2").click()
    tab.locator("#range", has_text="1 to 2 of 2").wait_for()
    tab.get_by_label("Order").select_option("name")
    names = tab.locator("#cells .name")
    until(lambda: names.all_inner_texts() == ["im050.png", "im051.png"], "they are sorted")
    tab.get_by_role("button", name="held out 1").click()
    until(lambda: names.all_inner_texts() == ["im139.png"], "only that is shown")
    tab.locator(CELLS).click()
    tab.get_by_role("button", name="Remove r", exact=True).click()
    until(lambda: page.answers().get("im139") == "remove", "a held-out photo is answered")
    image = tab.locator(CELLS).locator("img")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 40


def test_a_lasso_selects_what_lies_inside_and_a_click_opens(opened: Any, page: Page) -> None:
    tab = opened("#grid")
    tab.get_by_text("Scatter plot of the training photos").click()
    plane = tab.locator("#plane")
    plane.scroll_into_view_if_needed()
    until(lambda: plane.evaluate("canvas => canvas.width") > 300, "it is drawn")
    told = page.room.scatter()
    assert len(told["ids"]) == 139
    tab.get_by_text(f"({told['axes']})").wait_for()
    tab.get_by_text("0 of 139 answered: about").wait_for()  # above it, in one line or two,
    tab.get_by_text("The next run leaves out").wait_for()  # as both have room
    plane.scroll_into_view_if_needed()
    tab.wait_for_timeout(300)
    box = plane.bounding_box()
    half = {name for name, (x, _) in zip(told["ids"], told["at"], strict=True) if x > 0}

    def move(x: float, y: float) -> None:
        tab.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)

    move(0.5, 0.001)
    tab.mouse.down()
    for x, y in ((0.999, 0.001), (0.999, 0.999), (0.5, 0.999)):
        move(x, y)
    tab.mouse.up()
    tab.locator("#selected", has_text=f"{len(half)} selected").wait_for()
    tab.locator("#range", has_text=f"of {len(half)}").wait_for()
    tab.get_by_role("button", name="Unsure u", exact=True).click()
    until(lambda: page.answers() == dict.fromkeys(sorted(half), "unsure"), "all of them are answered")
    (x, y), name = told["at"][20], told["ids"][20]
    tab.mouse.click(
        box["x"] + box["width"] / 2 + x * (box["width"] / 2 - 14),
        box["y"] + box["height"] / 2 - y * (box["height"] / 2 - 14),
    )
    tab.locator("#triage:not([hidden])").wait_for()
    assert tab.locator("#name").inner_text() == page.room.card(name)["name"]


def test_two_tabs_lose_nothing_and_the_loser_is_told(opened: Any, page: Page) -> None:
    one, two = opened(), opened()
    name = one.locator("#name").inner_text()
    first, second = (card["id"] for card in page.room.state()["next"][:2])
    press(one, "k")
    until(lambda: page.answers() == {first: "keep"}, "the first has answered")
    press(two, "r", "r")
    until(lambda: page.answers() == {first: "remove", second: "remove"}, "both answers are in the file")
    one.get_by_text(f"{name}: your answer keep was changed: another tab or person said remove").wait_for()
    assert two.locator("#notices p").count() == 0
    press(one, "z")
    one.get_by_text("another tab or person has answered since; theirs stays").wait_for()
    assert page.answers()[first] == "remove"


def test_what_a_terminal_answers_shows_and_a_broken_file_is_told(opened: Any, page: Page) -> None:
    tab = opened()
    file = page.folder / paths.REVIEW
    file.write_text("image_id,verdict\nim070,keep\n")
    tab.get_by_text("1 of 139 answered").wait_for()
    file.write_text("image_id,verdict\nim070,perhaps\n")
    tab.get_by_text("verdict 'perhaps' of image im070").first.wait_for()
    press(tab, "r")
    tab.get_by_text("not saved:").wait_for()
    file.write_text("image_id,verdict\nim070,keep\n")
    press(tab, "ArrowLeft", "r")
    until(lambda: "remove" in page.answers().values(), "the file can be written again")


def test_hostile_names_and_notes_are_text(opened: Any, page: Page) -> None:
    note = "<b onmouseover=alert(1)>x</b><script>document.title='hit'</script>"
    page.room.answer("other", list(HOSTILE), "keep", note)
    tab = opened("#grid")
    tab.get_by_label("Order").select_option("answered")
    names = {name.split("/")[-1] for name in HOSTILE.values()}
    shown = tab.locator("#cells .name")
    until(lambda: set(shown.all_text_contents()[:3]) == names, "they are shown as they are")
    tab.locator(CELLS).first.dblclick()
    tab.locator("#name", has_text=HOSTILE["im002"]).wait_for()
    assert tab.locator("#note").input_value() == note
    assert tab.locator("#cells b, #cells script, #name *").count() == 0


def test_a_page_of_another_site_cannot_answer_even_with_the_token(browser: Any, page: Page) -> None:
    tab = browser.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    body = json.dumps({"tab": "evil", "ids": ["im005"], "verdict": "remove"})
    script = f"""
        for (const type of ["text/plain", "application/json"])
          fetch("{page.address}api/answer", {{method: "POST", mode: "no-cors", body: {body!r},
            headers: {{"content-type": type}}}}).finally(() => console.log("asked"));
        fetch("{page.address}api/state").then(() => console.log("read"), () => console.log("not read"));
    """
    tab.route(
        "http://evil.test/",
        lambda route: route.fulfill(
            content_type="text/html", body=f"<script>{script}</script><iframe src='{page.address}'></iframe>"
        ),
    )
    tab.goto("http://evil.test/")
    until(lambda: said.count("asked") == 2 and "not read" in said, "all was tried")
    assert "read" not in said
    assert page.answers() == {}
    tab.close()


def test_apply_shows_the_log_and_then_the_result(opened: Any, page: Page, served: Page) -> None:
    reports = page.folder / paths.REPORTS
    reports.mkdir(exist_ok=True)
    script = "<script>try { parent.document.title='hit' } catch {}</script>"
    links = [f'<a href="{to}" target="_blank">{name}</a>' for to, name in LINKS.items()]
    (reports / "report.html").write_text(f"{script}<p>done{''.join(links)}")
    page.runs.append(["Running stage 'refine':", "refine: <b>5</b> of 139 training images removed"])
    tab = opened()
    press(tab, "r")
    tab.get_by_role("link", name="Apply").click()
    tab.get_by_role("button", name="Apply").click()
    tab.locator("#log", has_text="refine: <b>5</b> of 139 training images removed").wait_for()
    tab.get_by_role("status").get_by_text("done", exact=True).wait_for()
    tab.frame_locator("#result").get_by_text("done").wait_for()
    assert tab.get_by_role("link", name="Open the report").get_attribute("href") == "report"
    with tab.expect_popup() as opened_photo:
        tab.frame_locator("#result").get_by_text("im050.png").click()
    photo = opened_photo.value.locator("img")
    until(lambda: photo.evaluate("image => image.naturalWidth") == 40, "the photo opens")
    assert tab.frame_locator("#result").get_by_text("secret.png").get_attribute("href") is None


def test_a_region_is_drawn_by_mouse_or_by_numbers_and_saved(opened: Any, page: Page) -> None:
    tab = opened()
    tab.get_by_role("link", name="Region").click()
    plane, save = tab.locator("#region-plane"), tab.get_by_role("button", name="Save as dataset.roi")
    until(lambda: plane.evaluate("canvas => canvas.width") > 300, "it is drawn")
    until(lambda: tab.locator("#foreseen").inner_text(), "the head has its last height")
    assert save.is_disabled()
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.75, 0.5)):
        box = plane.bounding_box()
        plane.click(position={"x": box["width"] * x, "y": box["height"] * y})  # wherever it is by now
    tab.get_by_role("button", name="Close the shape").click()
    for x, y in ((10, 80), (20, 80), (20, 90)):
        tab.get_by_label("% from the left").fill(str(x))
        tab.get_by_label("% from the top").fill(str(y))
        tab.get_by_role("button", name="Add corner").click()
    save.click()
    tab.get_by_text("Saved: dataset.roi = data/roi/drawn.json").wait_for()
    content = json.loads((page.folder / "data/roi/drawn.json").read_text())
    first, second = (np.array(shape["points"]) / content["imageWidth"] for shape in content["shapes"])
    assert np.abs(first - [(0.25, 0.25), (0.75, 0.25), (0.75, 0.5)]).max() < 0.01
    assert np.abs(second - [(0.1, 0.8), (0.2, 0.8), (0.2, 0.9)]).max() < 0.01
    assert params.load(page.folder / "params.yaml").dataset.roi == "data/roi/drawn.json"
    tab.reload()
    tab.get_by_text("Now: dataset.roi = data/roi/drawn.json").wait_for()
    assert save.is_enabled()  # the outlines are there, to go on from
    tab.get_by_role("button", name="Whole photo").click()
    tab.get_by_text("Saved: the whole photo counts").wait_for()
    assert params.load(page.folder / "params.yaml").dataset.roi is None
    assert save.is_disabled()


def test_on_a_phone_everything_is_within_reach(opened: Any, page: Page) -> None:
    tab = opened(viewport={"width": 360, "height": 700}, has_touch=True, is_mobile=True)
    tab.get_by_role("button", name="Remove").first.tap()
    until(lambda: list(page.answers().values()) == ["remove"], "the tap is an answer")
    for view in ("triage", "grid", "region", "run"):
        tab.goto(f"{page.address}#{view}")
        tab.locator(f"#{view}").wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360, view
    tab.goto(f"{page.address}#triage")
    assert tab.get_by_role("button", name="Keep").first.bounding_box()["height"] >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_can_be_read(opened: Any, page: Page, scheme: str) -> None:
    tab = opened(color_scheme=scheme)
    for view in ("triage", "grid", "region", "run"):
        tab.goto(f"{page.address}#{view}")
        tab.locator(f"#{view}").wait_for()
        tab.wait_for_timeout(200)
        found = tab.evaluate((Path(__file__).parent / "readable.js").read_text())
        assert found == {"unnamed": [], "faint": [], "edgeless": []}, view
