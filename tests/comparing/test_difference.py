"""Two versions side by side: each change by its kind, with scores, ranks, rounds and the reason."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from adrefine import paths
from adrefine.areas.region import Region
from adrefine.comparing import sheet, words
from adrefine.comparing.difference import compare
from adrefine.comparing.version import Version
from adrefine.errors import UserError
from adrefine.places.votes import Vote, Votes
from fakes import MapStore

NAN = float("nan")


def version(
    name: str, rows: list[dict], metrics: dict | None = None, settings: dict | None = None
) -> Version:
    usual = {
        "kept": 1,
        "weight": 1.0,
        "score": 0.5,
        "threshold": 1.0,
        "relative_score": 0.5,
        "removed_round": NAN,
    }
    usual |= {"reviewed": "", "reason": "", "label": -1}
    table = pd.DataFrame(
        [usual | {"source": f"{row['image_id']}.png", "path": f"{row['image_id']}.png"} | row for row in rows]
    )
    return Version(name, table.set_index("image_id"), metrics or {}, settings or {})


OUT = {"kept": 0, "weight": 0.0, "score": 3.0, "relative_score": 3.0, "removed_round": 2, "reason": "places"}
A = version(
    "old",
    [
        {"image_id": "both"},
        {"image_id": "a_only"},
        {"image_id": "b_only", **OUT},
        {"image_id": "gone"},
        {"image_id": "light"},
    ],
    {"detection": {"refined": {"auroc": 0.9}}},
    {"refine": {"strategy": "mad"}, "seed": 0},
)
B = version(
    "new",
    [
        {"image_id": "both"},
        {"image_id": "a_only", **OUT, "reason": "you", "reviewed": "remove"},
        {"image_id": "b_only", "score": 0.75, "label": 1},
        {"image_id": "fresh"},
        {"image_id": "light", "weight": 0.25},
    ],
    {"detection": {"refined": {"auroc": 0.95}}},
    {"refine": {"strategy": "osr"}, "seed": 0},
)


def test_each_photo_is_of_the_kind_of_its_change() -> None:
    found = compare(A, B)
    kinds = {row["image_id"]: row["changes"] for row in found.rows}
    assert kinds == {
        "a_only": ["only_a", "answer"],
        "b_only": ["only_b", "label"],
        "light": ["less"],
        "fresh": ["new"],
        "gone": ["gone"],
    }
    assert found.settings == [("refine.strategy", "mad", "osr")]
    assert found.measures == [("photos", 5.0, 5.0), ("kept", 4.0, 4.0), ("test auroc", 0.9, 0.95)]


def test_a_row_has_scores_in_limits_ranks_rounds_and_reasons_of_both() -> None:
    row = next(row for row in compare(A, B).rows if row["image_id"] == "b_only")
    of = {
        name: (row[f"{name}_a"], row[f"{name}_b"]) for name in ("score", "rank", "round", "reason", "label")
    }
    assert of == {
        **{"score": (3.0, 0.75), "rank": (1, 2), "round": (2, None)},
        **{"reason": ("places", ""), "label": ("", "defective")},
    }
    assert words.described(row) == (
        "score 3.00 -> 0.75, rank 1 -> 2, out in round 2: one place, label none -> defective"
    )


def test_a_row_has_what_each_voter_says_in_both() -> None:
    quiet = Votes({"places": Vote(0.5, 0.7, 3), "pooled": Vote(1.0, 0.3, 2)}, 5, 1, 2)
    loud = replace(quiet, by={**quiet.by, "places": Vote(9.0, 0.7, 1)}, row=4)
    old = replace(A, votes={"a_only": quiet, "b_only": quiet})
    rows = {row["image_id"]: row for row in compare(old, replace(B, votes={"a_only": loud})).rows}
    assert (rows["a_only"]["places_rank_a"], rows["a_only"]["places_rank_b"]) == (3, 1)
    assert (rows["b_only"]["places_row_a"], rows["b_only"]["places_row_b"]) == (1, None)
    told = (
        "one place: score 0.5 -> 9.0, rank 3 -> 1 of 5, weight 0.70; "
        "as a whole: 1.0, 2, 0.30; oddest at row 1, column 2 -> row 4, column 2"
    )
    assert rows["a_only"]["votes"] == told
    found = compare(old, replace(B, votes={"a_only": loud}))
    lines = words.lines(found)
    place = next(number for number, line in enumerate(lines) if line.startswith("  a_only"))
    assert lines[place + 1].strip() == told
    fresh = next(number for number, line in enumerate(lines) if line.startswith("  fresh"))
    assert lines[fresh + 1 : fresh + 2] in ([""], [])
    assert told in sheet.render(found).replace("-&gt;", "->")
    table = list(csv.DictReader(io.StringIO(words.as_csv(found))))
    assert (table[0]["places_score_a"], table[0]["places_score_b"]) == ("0.5", "9.0")


def test_the_other_way_round_is_the_mirror_image() -> None:
    there, back = compare(A, B), compare(B, A)
    assert [row["image_id"] for row in there.of_kind("only_a")] == [
        row["image_id"] for row in back.of_kind("only_b")
    ]
    assert [row["image_id"] for row in there.of_kind("new")] == [
        row["image_id"] for row in back.of_kind("gone")
    ]
    assert [row["image_id"] for row in back.of_kind("more")] == ["light"]
    assert compare(A, A).rows == []


def test_terminal_table_and_json_tell_the_same() -> None:
    found = compare(A, B)
    text = "\n".join(words.lines(found))
    for line in (
        "only old keeps: 1 photo",
        "only new keeps: 1 photo",
        "new in new: 1 photo",
        "gone in new: 1 photo",
    ):
        assert line in text
    assert "refine.strategy: mad -> osr" in text
    told = words.as_json(found)
    assert {kind: count for kind, count in told["counts"].items() if count} == {
        **{"only_a": 1, "only_b": 1, "less": 1, "new": 1, "gone": 1, "label": 1, "answer": 1},
    }
    rows = list(csv.DictReader(io.StringIO(words.as_csv(found))))
    assert [row["image_id"] for row in rows] == [row["image_id"] for row in found.rows]
    assert rows[0]["changes"] == "only_a answer"


def test_long_lists_are_cut_and_say_so() -> None:
    many = version("many", [{"image_id": f"p{number:02d}"} for number in range(40)])
    lines = words.lines(compare(version("none", [{"image_id": "p00"}]), many))
    assert lines[-1] == "  ... and 24 more (--csv)"


def test_a_formula_in_a_name_is_tamed_and_tags_are_text() -> None:
    name = "=1+1<script>x</script>"
    found = compare(
        version("a", [{"image_id": "x", "source": name, **OUT}]),
        version("b", [{"image_id": "x", "source": name}]),
    )
    assert "'=1+1" in words.as_csv(found)
    page = sheet.render(found)
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_sheet_has_the_photo_and_both_maps(tmp_path, monkeypatch) -> None:
    import small_project

    monkeypatch.chdir(tmp_path)
    store = MapStore(2, count=20)
    small_project.write(store)
    ids = [{"image_id": name, "path": f"{name}.png"} for name in store.ids]
    out = [row | (OUT if row["image_id"] == "im000" else {}) for row in ids]
    page = sheet.render(compare(version("all", ids), version("fewer", out)))
    assert page.count("<img") == 3
    assert "map of all" in page
    assert "map of fewer" in page


def test_its_maps_end_at_the_region_of_interest(tmp_path, monkeypatch) -> None:
    import small_project

    monkeypatch.chdir(tmp_path)
    store = MapStore(2, count=20)
    small_project.write(store)
    inside = np.zeros((30, 40), bool)
    inside[:, :20] = True
    paths.INGESTED.mkdir(parents=True)
    Region(inside).picture().save(paths.INGESTED / "roi.png")
    seen: list[np.ndarray] = []
    monkeypatch.setattr(sheet, "overlay", lambda photo, heat, usual: seen.append(heat) or photo)
    ids = [{"image_id": name, "path": f"{name}.png"} for name in store.ids]
    out = [row | (OUT if row["image_id"] == "im000" else {}) for row in ids]
    sheet.render(compare(version("all", ids), version("fewer", out)))
    assert len(seen) == 2
    assert all(len(np.unique(heat[~inside])) == 1 and len(np.unique(heat[inside])) > 100 for heat in seen)


def test_a_version_that_is_not_there_is_told(tmp_path, monkeypatch) -> None:
    from adrefine.comparing.version import find

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no manifest file, no folder with one, no git revision"):
        find("--output=x")
    with pytest.raises(UserError, match=r"manifest\.csv is missing"):
        find("workspace")
