"""Shots of one part: found whatever their light, named opaquely, and on one side of every split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trees
from adrefine import manifest
from adrefine.ingestion import parts, pipeline
from adrefine.params import Dataset

SPLITS = st.sampled_from(["train", "test", "pool"])


def surface(seed: int, light: float) -> np.ndarray:
    """A photo of a grainy surface, brighter to the right by `light`."""
    grain = np.random.default_rng(seed).normal(0, 20, (64, 64))
    return np.clip(120 + grain + light * np.linspace(-1, 1, 64), 0, 255).astype(np.uint8)


def rows(*given: tuple[str, str, str, int]) -> pd.DataFrame:
    """Rows of image_id, part, split, label."""
    made = pd.DataFrame(given, columns=["image_id", "part", "split", "label"])
    return made.assign(source=made["image_id"], file="nowhere")


def test_shots_in_another_light_are_found_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 surfaces, the first ten of them three times: 30 photos of 10 parts, 30 alone."""
    monkeypatch.chdir(tmp_path)
    for number in range(60):
        seed, light = (number % 10, 20.0 * (number // 10)) if number < 30 else (number, 0.0)
        trees.save(tmp_path / f"raw/good/{number:02d}.png", surface(seed, light))
    trees.save(tmp_path / "raw/defect/99.png", surface(99, 0))
    given = Dataset(name="folder", root="raw", image_size=64, parts="find")
    summary = pipeline.ingest(given, Path("out"), workers=1)
    table = manifest.read(Path("out/manifest.csv"))
    table["number"] = table["source"].str[-6:-4].astype(int)
    assert (table["part"] != "").equals(table["number"] < 30)
    shots = table[table["part"] != ""].groupby("part")
    assert {tuple(sorted(numbers)) for numbers in shots["number"].agg(list)} == {
        (number, number + 10, number + 20) for number in range(10)
    }
    assert set(shots["split"].nunique()) == {1}
    assert summary.parts == {"photos": 30, "parts": 10, "moved": summary.parts["moved"]}
    assert summary.parts["moved"] > 0
    listed = pd.read_csv("out/parts.csv", dtype=str, keep_default_na=False)
    assert tuple(listed.columns) == manifest.PART_COLUMNS
    assert (listed["moved_from"] != "").sum() == summary.parts["moved"]
    assert "parts: 30 photos of 10 parts" in "\n".join(summary.lines())


def test_nobody_looks_for_parts_unless_asked() -> None:
    table = parts.assign(rows(("a", "", "train", 0), ("b", "", "test", 0)), "told")
    assert table["part"].tolist() == ["", ""]


def test_average_linkage_group_by_group_is_that_of_all() -> None:
    from scipy.cluster.hierarchy import fcluster, linkage

    rng = np.random.default_rng(0)
    details = np.repeat(rng.normal(size=(30, 40)), 3, axis=0) + rng.normal(0, 0.7, (90, 40))
    own = details - details.mean(axis=0)
    tree = linkage(own, "average", "cosine")
    same = fcluster(tree, 1 - parts.SAME, "distance")
    assert pd.crosstab(parts.parts_of(details), same).gt(0).sum().eq(1).all()
    assert len(set(parts.parts_of(details))) == len(set(same)) < 90


def test_the_name_of_a_told_part_says_nothing() -> None:
    table = parts.assign(rows(("a", "NG/S0001", "train", 0), ("b", "NG/S0001", "train", 0)), "told")
    assert table["part"].nunique() == 1
    assert "NG" not in table["part"][0]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((("train", 0), ("train", 0), ("test", 0)), ["train"] * 3),
        ((("train", 0), ("test", 0)), ["test"] * 2),
        ((("train", 0), ("train", 0), ("test", 1)), ["test"] * 3),
        ((("train", 1), ("test", 0)), ["train", "test"]),  # a training defect is never tested
        ((("pool", 1), ("test", 0)), ["pool", "test"]),
    ],
)
def test_a_part_goes_to_one_side(given: tuple[tuple[str, int], ...], wanted: list[str]) -> None:
    made = rows(*((str(place), "p", split, label) for place, (split, label) in enumerate(given)))
    table = parts.assign(made, "told")
    assert table["split"].tolist() == wanted
    assert (table["moved_from"] != "").tolist() == [a != b[0] for a, b in zip(wanted, given, strict=True)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "p", "q", "r"]), SPLITS), min_size=1, max_size=20), st.data())
def test_no_good_photo_trains_beside_a_tested_shot(given: list[tuple[str, str]], data: st.DataObject) -> None:
    labels = [int(split != "train" and data.draw(st.booleans())) for _, split in given]
    made = rows(*((str(n), *one, label) for n, (one, label) in enumerate(zip(given, labels, strict=True))))
    table = parts.assign(made, "told")
    table = table.assign(split=pipeline._with_val(table, Dataset(val_fraction=0.5)))
    for part, shots in table[table["part"] != ""].groupby("part"):
        sides = set(shots["split"]) - {"pool"}
        assert len(sides) <= 1, (part, shots)
