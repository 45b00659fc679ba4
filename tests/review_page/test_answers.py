"""Answers of several tabs, people and programs at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from adrefine import review
from adrefine.errors import UserError
from adrefine.review import Answer
from adrefine.review_page.answers import FILE, Answers

KEEP, REMOVE = Answer("keep"), Answer("remove")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "review.csv"


def verdicts(path: Path) -> dict[str, str]:
    return {name: one.verdict for name, one in review.read(path).items()}


def test_two_servers_on_one_file_lose_no_answer(file: Path) -> None:
    servers = [Answers(file), Answers(file)]

    def give(server: Answers, name: str) -> None:
        for number in range(20):
            server.give(name, {f"{name}{number}": KEEP})

    threads = [threading.Thread(target=give, args=pair) for pair in zip(servers, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(verdicts(file)) == {f"{name}{number}" for name in "ab" for number in range(20)}
    assert servers[0].refresh()
    assert servers[0].given.keys() == verdicts(file).keys()


def test_the_last_answer_of_a_photo_holds_and_the_loser_is_told(file: Path) -> None:
    answers = Answers(file)
    answers.give("one", {"x": KEEP})
    answers.give("two", {"x": REMOVE, "y": KEEP})
    assert verdicts(file) == {"x": "remove", "y": "keep"}
    told = {change.image_id: change for change in answers.since(0, "one")}
    assert (told["x"].loser, told["x"].before.verdict, told["y"].loser) == ("one", "keep", "")
    assert [change.image_id for change in answers.since(0, "two")] == ["x"]
    assert answers.since(3, "one") == []


def test_the_same_answer_twice_takes_nothing_from_anybody(file: Path) -> None:
    answers = Answers(file)
    answers.give("one", {"x": KEEP})
    assert answers.give("two", {"x": KEEP}) == []
    answers.give("two", {"x": Answer("keep", "a note")})
    assert [change.loser for change in answers.changes] == ["", ""]


def test_what_another_program_writes_is_seen_and_told(file: Path) -> None:
    answers = Answers(file)
    answers.give("one", {"x": KEEP})
    assert not (answers.refresh() and answers.refresh())
    with review.changing(file) as there:
        there["x"], there["z"] = REMOVE, KEEP
    assert answers.refresh()
    assert [(change.tab, change.image_id, change.loser) for change in answers.since(1, "one")] == [
        (FILE, "x", "one"),
        (FILE, "z", ""),
    ]
    answers.give("one", {"y": KEEP})
    assert verdicts(file) == {"x": "remove", "z": "keep", "y": "keep"}


def test_undo_takes_back_what_the_tab_did_and_not_what_others_did_since(file: Path) -> None:
    answers = Answers(file)
    answers.give("one", {"x": KEEP, "y": KEEP})
    answers.give("two", {"x": REMOVE})
    done, lost = answers.undo("one")
    assert [change.image_id for change in done] == ["y"]
    assert [change.image_id for change in lost] == ["x"]
    assert verdicts(file) == {"x": "remove"}
    assert answers.undo("one") == ([], [])
    answers.undo("two")
    assert verdicts(file) == {"x": "keep"}


def test_a_file_that_cannot_be_read_stops_the_answer_and_stays_as_it_is(file: Path) -> None:
    answers = Answers(file)
    file.write_text("image_id,verdict\nx,perhaps\n")
    with pytest.raises(UserError, match="verdict 'perhaps'"):
        answers.give("one", {"y": KEEP})
    assert file.read_text() == "image_id,verdict\nx,perhaps\n"
    file.write_text("image_id,verdict\nx,keep\n")
    answers.give("one", {"y": KEEP})
    assert verdicts(file) == {"x": "keep", "y": "keep"}


def test_who_and_when_are_kept_if_they_are_given(file: Path) -> None:
    answers = Answers(file)
    when = "2026-11-26T10:00:00+00:00"
    answers.give("one", {"x": Answer("keep", "=1+1", reviewer="Ann", time=when), "y": REMOVE})
    assert file.read_text().splitlines() == [
        "image_id,verdict,note,reviewer,time",
        f"x,keep,'=1+1,Ann,{when}",
        "y,remove,,,",
    ]
    assert Answers(file).given["x"].reviewer == "Ann"
