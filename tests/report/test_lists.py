"""The full lists of the report, and the photos behind its pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from adrefine.places.votes import Vote, Votes
from adrefine.report import html, lists, originals, plots
from adrefine.report.lists import Aside
from adrefine.report.originals import Originals

DUPLICATE = {
    **{"kind": "near", "image_id": "train05", "source": "train/5.png", "other_source": "train/6.png"},
    **{"leak": 1, "similarity": 0.9991},
}
ASIDE = Aside(
    unread=pd.DataFrame({"source": ["a.heic", "b.png"], "reason": [".heic is not read", "truncated"]}),
    duplicates=pd.DataFrame([DUPLICATE]),
    hints=pd.DataFrame(
        {"image_id": ["train08"], "source": ["train/8.png"], "hint": ["darker than the others"]}
    ),
    held=pd.DataFrame({"image_id": ["train06", "train07"], "score": [1.5, 4.0], "rank": [30, 2]}),
)


def texts(listing):
    return [[cell.text for cell in row] for row in listing.rows]


def test_every_removed_photo_is_listed_with_score_round_and_reason(data):
    train = data.train.assign(reason=["places", "you", "", "pooled", *[""] * 8], weight=1.0)
    train.loc[4, "weight"] = 0.25
    train.loc[1, "review_note"] = "a scratch"
    found = {one.key: one for one in lists.listings(replace(data, train=train), ASIDE, Originals(), train)}
    assert texts(found["out"]) == [
        ["train/0.png", "removed", "3", "1", "one place", "defective"],
        ["train/1.png", "removed", "2.5", "2", "you: a scratch", "defective"],
        ["train/3.png", "removed", "2", "2", "as a whole", "good"],
        ["train/4.png", "counts for 25%", "0.25", "", "", "good"],
    ]
    assert texts(found["unread"]) == [["a.heic", ".heic is not read"], ["b.png", "truncated"]]
    assert texts(found["duplicates"]) == [["train/5.png", "train/6.png", "0.9991", "test and training"]]
    assert texts(found["hints"]) == [["train/8.png", "darker than the others"]]
    assert texts(found["held"]) == [["train/7.png", "4", "2", ""], ["train/6.png", "1.5", "30", ""]]


def test_each_voter_has_a_column_with_score_and_rank(data):
    told = {
        "train00": Votes({"places": Vote(8.46, 0.7, 1), "pooled": Vote(-0.5, 0.3, 9)}, 12, 4, 7),
        "train06": Votes({"places": Vote(1.0, 0.7, 5), "pooled": Vote(2.0, 0.3, 2)}, 12, 1, 10),
    }
    train = data.train.assign(reason="")
    found = {one.key: one for one in lists.listings(data, replace(ASIDE, votes=told), Originals(), train)}
    columns = ["one place", "as a whole", "oddest place"]
    assert found["out"].heads[5:] == [*columns, "label"]
    assert texts(found["out"])[0][5:8] == ["8.5 (1)", "-0.5 (9)", "row 4, column 7"]
    assert texts(found["out"])[1][5:8] == ["", "", ""]
    assert found["out"].intro.endswith(
        "among 12 training photos. Their weights: one place 0.70, as a whole 0.30."
    )
    assert found["held"].heads[3:6] == columns
    assert texts(found["held"])[1][3:6] == ["1.0 (5)", "2.0 (2)", "row 1, column 10"]


def test_what_ingest_set_aside_is_found_and_what_nobody_misses_is_not(tmp_path):
    (tmp_path / "quarantine.csv").write_text("source,reason\nb.png,truncated\n")
    (tmp_path / "ignored.csv").write_text(
        "source,reason\na.heic,.heic is not read: convert it\n.x,hidden\nm.txt,not a photo\n"
    )
    (tmp_path / "evidence.csv").write_text(
        "image_id,held_out,voter,weight,rank,score,row,column\nx,1,together,1,1,2.5,,\nx,1,places,0.5,1,9,2,3\n"
        "x,1,pooled,0.5,2,1,,\ny,0,together,1,1,3,,\n"
    )
    found = lists.find(tmp_path, tmp_path / "evidence.csv")
    assert list(found.unread["source"]) == ["b.png", "a.heic"]
    assert found.held.to_dict("records") == [{"image_id": "x", "score": 2.5, "rank": 1}]
    assert found.votes["x"].cells()["places_row"] == 2
    nothing = lists.find(tmp_path / "nowhere", tmp_path / "nothing")
    assert nothing.unread.empty
    assert nothing.votes == {}


def picture(path: Path, width: int, height: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width), np.uint8)).save(path)


def test_a_photo_is_larger_in_its_own_shape_and_opens_by_its_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(Path("photos/wide #1.png"), 1600, 400)
    picture(Path("data/x.png"), 64, 64)
    row = {"image_id": "x", "source": "wide #1.png", "path": "data/x.png", "scale": "0..255"}
    own = Originals(Path("photos"))
    assert own.link(row) == "../photos/wide%20%231.png"
    assert Originals(tmp_path / "photos").link(row) == (tmp_path / "photos/wide #1.png").as_uri()
    assert Originals().link(row) == Originals(Path("gone")).link(row) == "../data/x.png"
    for where, size in ((own, (1024, 256)), (Originals(), (64, 64))):
        made = where.large([row, row])
        with Image.open(io.BytesIO(base64.b64decode(made["x"]))) as image:
            assert image.size == size
    assert own.large([{**row, "source": "gone.png", "path": "data/gone.png"}]) == {}


def test_many_photos_are_smaller_and_too_many_are_linked_alone(tmp_path, monkeypatch):
    picture(tmp_path / "one.png", 1024, 1024)
    rows = [{"image_id": str(number), "source": "one.png", "path": ""} for number in range(3)]
    whole = Originals(tmp_path).large(rows)
    monkeypatch.setattr(originals, "BUDGET", sum(map(len, whole.values())) - 1)
    with Image.open(io.BytesIO(base64.b64decode(Originals(tmp_path).large(rows)["0"]))) as image:
        assert image.size == (768, 768)
    monkeypatch.setattr(originals, "BUDGET", 10)
    assert Originals(tmp_path).large(rows) == {}


def test_names_in_lists_are_text(data, tmp_path):
    evil = '</script><script>alert(1)</script>"><img src=x onerror=alert(1)>'
    plots.write_all(data, tmp_path / "plots")
    aside = replace(ASIDE, unread=pd.DataFrame({"source": [evil], "reason": [evil]}))
    content = html.render(
        replace(data, train=data.train.assign(source=evil)), tmp_path / "plots", 3, Originals(), aside
    )
    assert content.count("<script") == 2
    assert "<img src=x" not in content
