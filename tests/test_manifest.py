"""The one table type: text stays text, one row per image, and a view without what only measuring may see."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adrefine import manifest
from adrefine.errors import UserError

names = st.text(string.ascii_letters + string.digits + "-_. ,\"'é", min_size=1, max_size=10)


def table(*ids: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": list(ids),
            "path": [f"images/{image_id}.png" for image_id in ids],
            "mask_path": "",
            "split": "train",
            "label": 0,
            "width": range(len(ids)),
            "score": np.linspace(0.5, 1, len(ids)),
        }
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(names, min_size=1, max_size=6, unique=True))
@example(["00012e5", "1e5", "NA", "null", "nan", "None", "007", "0x1F", "True", "1_000", "inf", "-1", " x"])
def test_ids_come_back_as_the_text_they_were_sorted(ids):
    with tempfile.TemporaryDirectory(prefix="ut_") as folder:
        path = Path(folder) / "manifest.csv"
        manifest.write(path, table(*ids))
        found = manifest.read(path)
    assert found["image_id"].tolist() == sorted(ids)
    expected = table(*ids).sort_values("image_id", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


def test_blank_numbers_are_nan_and_blank_text_is_empty(tmp_path):
    rows = table("a", "b").assign(removed_round=[2, None], defect_type=["", "pit"], threshold=[np.nan, 1.5])
    manifest.write(tmp_path / "m.csv", rows)
    found = manifest.read(tmp_path / "m.csv")
    assert found["mask_path"].tolist() == ["", ""]
    assert found["defect_type"].tolist() == ["", "pit"]
    assert found["removed_round"].isna().tolist() == [False, True]
    assert found["threshold"].isna().tolist() == [True, False]
    assert found["removed_round"][0] == 2


def test_the_order_of_rows_does_not_change_a_byte(tmp_path):
    rows = table(*"cabd")
    manifest.write(tmp_path / "1.csv", rows)
    manifest.write(tmp_path / "2.csv", rows.sample(frac=1, random_state=3))
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_a_second_row_of_an_image_is_refused_by_its_id(tmp_path):
    with pytest.raises(UserError, match="image_id b has more than one row"):
        manifest.write(tmp_path / "m.csv", table("a", "b", "b"))
    assert not (tmp_path / "m.csv").exists()


def test_a_file_that_is_no_manifest_is_refused(tmp_path):
    with pytest.raises(UserError, match="run `dvc repro`"):
        manifest.read(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("image_id,score\na,1\n")
    with pytest.raises(UserError, match="no column path"):
        manifest.read(tmp_path / "m.csv")


@pytest.mark.parametrize("column", ["score", "kept", "label", "in_test"])
def test_words_where_numbers_should_be_are_damage(tmp_path, column):
    (tmp_path / "m.csv").write_text(f"image_id,path,{column}\na,b,1\nc,d,\n")
    assert manifest.read(tmp_path / "m.csv")[column][0] == 1
    (tmp_path / "m.csv").write_text(f"image_id,path,{column}\na,b,1\nc,d,x\n")
    with pytest.raises(UserError, match=rf"m\.csv is damaged \(column {column} has words"):
        manifest.read(tmp_path / "m.csv")


def test_nothing_that_tells_good_from_defective_is_left_unlabelled():
    rows = table("a").assign(**dict.fromkeys([*manifest.COLUMNS, "injected", "in_test"], 1))
    blind = manifest.unlabelled(rows)
    assert not set(blind.columns) & {*manifest.MEASURING_ONLY}
    assert {"label", "injected", "defect_type", "mask_path", "source"} <= {*manifest.MEASURING_ONLY}
    assert {"image_id", "path", "split", "in_test"} <= set(blind.columns)
    assert "label" in rows.columns
    pd.testing.assert_frame_equal(manifest.unlabelled(blind), blind)


def test_of_split_keeps_that_split_alone():
    rows = table(*"abc").assign(split=["train", "val", "train"])
    assert manifest.of_split(rows, "train")["image_id"].tolist() == ["a", "c"]
    assert manifest.of_split(rows, "pool").empty
