"""What the page shows: the next photos, the grid, and 10,000 photos."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from adrefine import paths, review
from adrefine.areas.region import Region
from adrefine.errors import UserError
from adrefine.review_page.room import Room
from adrefine.reviewing.project import Review
from fakes import MapStore
from review_page import page_process
from review_page.page_process import Page

STORE = MapStore(8, count=64)
HELD = STORE.ids[:4]  # four of the defects


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_process.made(tmp_path_factory.mktemp("room"), STORE, HELD) as page:
        yield page


def ids(found: dict) -> list[str]:
    return [cell["id"] for cell in found["cells"]]


def test_the_next_photos_are_those_of_the_session_and_say_why(page: Page) -> None:
    first = page.room.state()["next"][0]
    assert first["id"] == Review.of_project().session.next()[0].image_id
    assert f"Score {first['score']:.1f}, over the limit 3.0." in first["why"]
    row, column = divmod(int(STORE.where[STORE.ids.index(first["id"])]), 5)
    assert (
        f"Oddest at row {row + 1}, column {column + 1}; one place differs from that place of other photos."
        in first["why"]
    )
    told = Review.of_project().session.photos.votes(STORE.ids[4:].index(first["id"]))
    assert first["votes"] == [told.heads(), *told.rows()]
    assert first["votes"][1][:3] == ["one place", f"{told.by['places'].score:.1f}", "1"]
    held = page.room.card(HELD[0])
    row, column = divmod(int(STORE.where[0]), 5)
    assert held["why"][1] == f"Oddest at row {row + 1}, column {column + 1}."
    assert held["votes"][0] == told.heads()
    assert len(held["votes"]) == len(first["votes"])
    alike = [one["id"] for one in first["alike"]]
    assert len(set(alike) - {first["id"]}) == 4
    strength = page.room.review.session.photos.strength
    assert strength[[page.room.photos.rows[name] for name in alike]].max() <= np.median(strength)
    assert not set(alike) & {name for name, hidden in zip(STORE.ids, STORE.hidden, strict=True) if hidden}


def test_a_photo_near_the_limit_says_so(page: Page) -> None:
    ranking, limit = page.room.review.session.photos, page.room.review.limit
    for over, words in ((0.2, "over the limit 3.0, and close to it."), (-0.4, "under the limit 3.0.")):
        ranking.strength = ranking.strength.copy()
        ranking.strength[page.room.photos.rows["im020"]] = limit + over
        page.room.review.session.ranked()
        assert f"Score {limit + over:.1f}, {words}" in page.room.card("im020")["why"]


def test_answers_rank_the_others_anew_and_the_draws_are_kept(page: Page) -> None:
    while len(review.read(paths.REVIEW)) < 10:  # an answer given again is no other
        card = page.room.state()["next"][0]
        right = "remove" if STORE.hidden[STORE.ids.index(card["id"])] else "keep"
        page.room.answer("a", [card["id"]], right, None, card["asked"])
        assert page.room.follower.settle(20)
    given = review.read(paths.REVIEW)
    assert sum(one.verdict == "remove" for one in given.values()) == 4
    assert [one.drawn() is not None for one in given.values()] == [False] * 9 + [True]
    fresh = Review.of_project().session
    assert page.room.state()["estimate"] == Room(Review.of_project()).state()["estimate"]
    assert [one.image_id for one in fresh.next(3)] == [card["id"] for card in page.room.state(3)["next"]]
    told = page.room.foreseen()
    assert (told["of"], told["by_you"]) == (60, 4)
    assert told["leaves"] == len(Review.of_project().gone() or ())


def test_nobody_waits_for_the_ranking_to_follow(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    room, ranking, go = page.room, page.room.review.session.photos, threading.Event()
    turn = ranking.turn
    monkeypatch.setattr(ranking, "turn", lambda place: go.wait(20) and turn(place))
    first, second, third = (card["id"] for card in room.state(3)["next"])
    before = ranking.strength
    room.answer("a", [first, second], "remove", None)
    assert list(page.answers().values()) == ["remove", "remove"]
    told = room.state(1)
    assert (told["answered"], told["behind"], told["ranked"]) == (2, 2, 0)
    assert [card["id"] for card in told["next"]] == [third]
    assert room.picture("map", third) is not None
    assert ranking.strength is before
    go.set()
    assert room.follower.settle(20)
    told = room.state(3)
    assert (told["behind"], told["ranked"], room.news("a", 0)["ranked"]) == (0, 2, 2)
    fresh = Review.of_project().session
    assert [card["id"] for card in told["next"]] == [one.image_id for one in fresh.next(3)]
    np.testing.assert_allclose(ranking.strength, fresh.photos.strength, atol=1e-3)  # beyond rounding


def test_a_room_opens_before_its_ranking_knows_the_answers(page: Page) -> None:
    ids = list(STORE.ids[10:14])
    page.room.answer("a", ids, "remove", None)
    room = Room(Review.of_project({}))
    assert room.follower.settle(20)
    assert (room.follower.steps, room.state()["answered"]) == (4, 4)
    known = Review.of_project().session.photos
    np.testing.assert_allclose(room.review.session.photos.strength, known.strength, atol=1e-3)


def test_the_ranking_that_failed_once_is_tried_again(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    room, ranking = page.room, page.room.review.session.photos
    with monkeypatch.context() as patched:
        patched.setattr(ranking, "turn", lambda place: 1 / 0)
        patched.setattr(threading, "excepthook", lambda told: None)
        room.answer("a", ["im010"], "remove", None)
        assert room.follower.settle(20)
        assert room.state()["behind"] == 1
    room.answer("a", ["im011"], "keep", None)
    assert room.follower.settle(20)
    assert room.state()["behind"] == 0


def test_the_grid_filters_counts_and_sorts(page: Page) -> None:
    room = page.room
    whole = room.grid("all", "suspicious", 0, 100)
    assert whole["counts"] == {
        **{"all": 64, "kept": 0, "removed": 0, "answered": 0, "leaving": 0, "held out": 4},
        **{"duplicates": 0, "quarantined": 0, "doubtful": whole["counts"]["doubtful"], "a variant?": 0},
    }
    scores = [cell["score"] for cell in whole["cells"]]
    assert scores == sorted(scores, reverse=True)
    assert ids(room.grid("all", "ordinary", 0, 3)) == ids(whole)[:-4:-1]
    assert ids(room.grid("all", "name", 5, 3)) == ["im005", "im006", "im007"]
    assert set(ids(room.grid("held out", "name", 0, 9))) == set(HELD)
    room.answer("a", ["im010", "im020", HELD[0]], "keep", "fine")
    assert ids(room.grid("answered", "answered", 0, 9)) == [HELD[0], "im020", "im010"]
    assert room.grid("answered", "name", 0, 1)["cells"][0]["note"] == "fine"
    with pytest.raises(UserError, match="no filter"):
        room.grid("everything", "name", 0, 9)


def test_after_a_run_the_grid_has_what_it_decided(page: Page) -> None:
    kept = [int(name not in ("im010", "im011")) for name in STORE.ids]
    table = pd.DataFrame({"image_id": STORE.ids, "path": "", "kept": kept, "weight": [0.2, *([1.0] * 63)]})
    paths.REFINED.mkdir(parents=True)
    table.to_csv(paths.REFINED / paths.MANIFEST, index=False)
    paths.INGESTED.mkdir(parents=True)
    (paths.INGESTED / "quarantine.csv").write_text("source,reason\nodd.png,truncated\n")
    (paths.INGESTED / "ignored.csv").write_text(
        "source,reason\nodd.heic,.heic is not read: do so\nm.txt,no\n"
    )
    page.room.reload()
    assert ids(page.room.grid("removed", "name", 0, 9)) == ["im010", "im011"]
    assert page.room.grid("kept", "name", 0, 9)["total"] == 58  # of the training photos
    assert page.room.grid("quarantined", "name", 0, 9)["cells"] == [
        {"id": "", "name": "odd.png", "note": "truncated"},
        {"id": "", "name": "odd.heic", "note": ".heic is not read: do so"},
    ]
    assert "The last run left it out." in page.room.card("im010")["why"]


def test_a_map_ends_at_the_region_of_interest(page: Page) -> None:
    def opacity() -> np.ndarray:
        content, _ = page.room.picture("map", "im010") or (b"", "")
        assert isinstance(content, bytes)
        return np.asarray(Image.open(io.BytesIO(content)))[..., 3]

    inside = np.zeros((30, 40), bool)
    inside[:, :20] = True
    before = opacity()
    paths.INGESTED.mkdir(parents=True)
    Region(inside).picture().save(paths.INGESTED / "roi.png")
    assert before[~inside].any()
    assert not opacity()[~inside].any()
    assert opacity()[inside].any()


def test_a_name_and_a_time_are_written_only_if_asked_for(page: Page) -> None:
    page.room.answer("a", ["im010"], "keep", None)
    assert "reviewer" not in paths.REVIEW.read_text()
    Room(Review.of_project(), "Ann").answer("b", ["im011"], "keep", " two\nlines ")
    given = review.read(paths.REVIEW)["im011"]
    assert (given.reviewer, given.note) == ("Ann", "two lines")
    assert given.time.endswith("+00:00")
    assert page.room.news("a", 0)["others"][-1]["by"] == "Ann"


def test_ten_thousand_photos_are_shown_a_page_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = MapStore(20, count=10_000)
    with page_process.made(tmp_path_factory.mktemp("many"), store, shared=True) as page:
        found = page.room.grid("all", "suspicious", 9_960, 60)
        assert (found["total"], len(found["cells"])) == (10_000, 40)
        assert len(page.room.grid("all", "name", 0, 10**9)["cells"]) == 120
        first = page.room.state()["next"][0]
        page.room.answer("a", [first["id"]], "remove", None, first["asked"])
        assert first["id"] not in [card["id"] for card in page.room.state()["next"]]


def test_what_may_be_a_variant_comes_first_and_as_a_group(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = MapStore(8, count=80)
    group = store.ids[-5:]
    for name in group:  # odd alike nearly everywhere
        store.content[name][:20] += np.array([9, -7, 5, -5], np.float16)
    with page_process.made(tmp_path_factory.mktemp("variant"), store) as page:
        state = page.room.state()
        assert {card["id"] for card in state["next"][:5]} == set(group)
        assert state["next"][0]["why"][0] == "A variant? others look like it in most places."
        shown = page.room.grid("a variant?", "name", 0, 9)
        assert (ids(shown), shown["total"]) == (list(group), 5)
        assert not set(group) & (Review.of_project().gone() or set())
        page.room.answer("a", list(group), "keep", None)
        assert page.room.follower.settle(20)
        assert not ids(page.room.grid("a variant?", "name", 0, 9))
        assert page.room.state()["next"][0]["id"] not in group
