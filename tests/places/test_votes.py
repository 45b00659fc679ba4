"""What each voter says of a photo: from evidence.csv, from the evidence itself, and in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adrefine.errors import UserError
from adrefine.io import write_csv
from adrefine.places import votes
from adrefine.places.evidence import gather
from adrefine.places.votes import Vote, Votes
from adrefine.reviewing.ranking import Ranking
from fakes import MapStore

STORE = MapStore(8, count=64)
IDS, HELD = STORE.ids[4:], STORE.ids[:4]
HIDDEN = [place for place, name in enumerate(IDS) if STORE.hidden[STORE.ids.index(name)]]
ONE = Votes({"places": Vote(4.25, 0.61, 3), "pooled": Vote(-1.0, 0.39, 40)}, 191, 4, 7)


def test_the_file_has_what_the_evidence_says(tmp_path: Path) -> None:
    found = gather(STORE, IDS, HELD)
    write_csv(tmp_path / "evidence.csv", found.table())
    told = votes.read(tmp_path / "evidence.csv")
    assert set(told) == {*IDS, *HELD}
    for place, name in enumerate(IDS):
        row, column = found.cells[place].tolist()
        same(told[name], votes.of_training(found.voters, found.weights, place, (row, column)))
    for place, name in enumerate(HELD):
        same(told[name], votes.of_held_out(found, place))
    assert [told[name].loudest() for name in IDS] == found.loudest()


def same(one: Votes, other: Votes) -> None:
    assert one.cells() == pytest.approx(other.cells(), abs=2e-4)
    assert one.of == other.of == len(IDS)


def test_a_planted_defect_is_first_at_its_place() -> None:
    ranking = Ranking(STORE, IDS, HELD)
    told = [ranking.votes(place) for place in HIDDEN]
    assert sorted(one.by["places"].rank for one in told) == list(range(1, len(HIDDEN) + 1))
    for one, place in zip(told, HIDDEN, strict=True):
        row, column = divmod(int(STORE.where[STORE.ids.index(IDS[place])]), 5)
        assert (one.row, one.column) == (row + 1, column + 1)
        loudest = one.by[one.loudest()]
        assert all(loudest.weight * loudest.score >= vote.weight * vote.score for vote in one.by.values())
    assert sum(vote.weight for vote in told[0].by.values()) == pytest.approx(1)


def test_votes_follow_a_confirmed_defect() -> None:
    ranking = Ranking(STORE, IDS, HELD)
    before = ranking.votes(30)
    ranking.confirm(HIDDEN[0])
    now = ranking.votes(30)
    assert now.by["places"].score != before.by["places"].score
    assert now.by["places"].weight == before.by["places"].weight
    ranking.restore(HIDDEN[0])
    assert ranking.votes(30).cells() == pytest.approx(before.cells(), abs=1e-3)


def test_in_words() -> None:
    places = "one place: score 4.2, rank 3 of 191, weight 0.61"
    pooled = "as a whole: -1.0, 40, 0.39"
    assert ONE.spoken() == f"{places}; {pooled}"
    assert ONE.line() == f"{places}; {pooled}; oddest at row 4, column 7"
    assert ONE.loudest() == "places"


def test_in_a_table() -> None:
    assert ONE.heads() == ["looked at", "score", "rank of 191", "weight"]
    assert ONE.rows() == [["one place", "4.2", "3", "0.61"], ["as a whole", "-1.0", "40", "0.39"]]


def test_a_change_says_once_what_stays() -> None:
    louder = {"places": Vote(5.0, 0.61, 1), "pooled": Vote(-1.0, 0.39, 40)}
    other = replace(ONE, by=louder, column=8)
    assert votes.change(ONE, other) == (
        "one place: score 4.2 -> 5.0, rank 3 -> 1 of 191, weight 0.61; "
        "as a whole: -1.0, 40, 0.39; "
        "oddest at row 4, column 7 -> row 4, column 8"
    )
    assert votes.change(ONE, ONE) == votes.change(None, ONE) == votes.change(ONE, None) == ONE.line()
    assert votes.change(None, None) == ""


def test_a_change_names_voters_that_only_one_version_has() -> None:
    more = replace(ONE, by={**ONE.by, "own": Vote(2.0, 0.2, 5)})
    places = "one place: score 4.2, rank 3 of 191, weight 0.61; as a whole: -1.0, 40, 0.39"
    where = "oddest at row 4, column 7"
    assert votes.change(ONE, more) == f"{places}; once learned: none -> 2.0, 5, 0.20; {where}"
    assert votes.change(more, ONE) == f"{places}; once learned: 2.0, 5, 0.20 -> none; {where}"


def test_a_held_out_photo_under_all_ranks_with_the_last() -> None:
    store = MapStore(8, count=64)
    store.content[store.ids[0]] = np.mean([store.content[name] for name in store.ids[4:]], axis=0)
    found = gather(store, store.ids[4:], store.ids[:1])
    table = found.table()
    assert votes.of_held_out(found, 0).by["places"].rank == 60
    assert table["rank"].max() == 60


def test_without_evidence_every_figure_is_unknown(tmp_path: Path) -> None:
    assert votes.read(tmp_path / "evidence.csv") == {}
    assert votes.cells(None) == dict.fromkeys(votes.COLUMNS)
    assert tuple(votes.cells(ONE)) == votes.COLUMNS
    (tmp_path / "evidence.csv").write_text("image_id,voter\nx,places\n")
    with pytest.raises(UserError, match=r"evidence\.csv.*no column held_out"):
        votes.read(tmp_path / "evidence.csv")
