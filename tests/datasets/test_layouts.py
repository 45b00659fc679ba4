"""Each adapter on a tree in its dataset's official layout, and on trees that lack something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import trees
from adrefine import datasets
from adrefine.datasets import files
from adrefine.datasets.mvtec import OFFICIAL
from adrefine.errors import UserError
from adrefine.params import Dataset


def read(name: str, root: Path, **more: object) -> tuple[pd.DataFrame, list[str]]:
    _, table, warnings, _ = datasets.read(Dataset.model_validate({"name": name, "root": str(root), **more}))
    return table, warnings


def test_mvtec(tmp_path: Path) -> None:
    table, warnings = read("mvtec", trees.mvtec(tmp_path / "part"))
    assert files.tally(table) == {
        "good": 16,
        "train good": 12,
        "test good": 4,
        "defect": 4,
        "test defect": 4,
        "scratch": 2,
        "bent": 2,
    }
    assert table["source"].is_monotonic_increasing
    row = table[table["source"] == "test/bent/001.png"].iloc[0]
    assert (row["mask_source"], row["defect_type"], row["label"]) == (
        "ground_truth/bent/001_mask.png",
        "bent",
        1,
    )
    assert (table.loc[table["label"] == 0, "mask_source"] == "").all()
    assert warnings == []


def test_mvtec_names_a_class_that_differs_and_a_folder_it_does_not_use(tmp_path: Path) -> None:
    root = trees.mvtec(tmp_path / "bottle")
    (root / "train/bad").mkdir()
    _, warnings = read("mvtec", root)
    assert (
        "train good 12 instead of 209, test good 4 instead of 20, test defect 4 instead of 63" in warnings[0]
    )
    assert "train/bad" in warnings[1]


def test_mvtec_official_sums() -> None:
    assert [sum(column) for column in zip(*OFFICIAL.values(), strict=True)] == [3629, 467, 1258]


def test_mvtec_root_above_the_class(tmp_path: Path) -> None:
    trees.mvtec(tmp_path / "bottle")
    with pytest.raises(UserError, match=r"folder of one class, such as .*bottle"):
        read("mvtec", tmp_path)


def test_ksdd2(tmp_path: Path) -> None:
    table, warnings = read("ksdd2", trees.ksdd2(tmp_path))
    assert files.tally(table) == {
        "good": 14,
        "train good": 10,
        "test good": 4,
        "defect": 4,
        "pool defect": 2,
        "test defect": 2,
    }
    assert not table["source"].str.contains("copy|GT").any()
    assert table.loc[table["label"] == 1, "mask_source"].str.endswith("_GT.png").all()
    assert "train good 10 instead of 2085, pool defect 2 instead of 246" in warnings[0]


def test_ksdd2_one_pixel_is_a_defect_and_broken_truth_is_kept_for_quarantine(tmp_path: Path) -> None:
    root = trees.ksdd2(tmp_path, copies=False)
    mask = np.zeros((32, 40), np.uint8)
    mask[31, 39] = 1
    trees.save(root / "train/10000_GT.png", mask)
    (root / "train/10002_GT.png").write_bytes(b"broken")
    table = read("ksdd2", root)[0].set_index("source")
    assert table.loc["train/10000.png", "split"] == "pool"
    assert table.loc["train/10002.png", "mask_source"] == "train/10002_GT.png"


def test_ksdd2_without_a_ground_truth(tmp_path: Path) -> None:
    root = trees.ksdd2(tmp_path)
    (root / "test/20003_GT.png").unlink()
    with pytest.raises(UserError, match=r"20003_GT\.png is missing"):
        read("ksdd2", root)


@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_mtd_with_the_list(tmp_path: Path, suffix: str) -> None:
    root = trees.mtd(tmp_path)
    names = [f"exp1_num_{number}{suffix}" for number in range(7)]
    (root / "differnet_train.txt").write_bytes("\r\n".join([*names, "gone.jpg"]).encode())
    table, warnings = read("mtd", root)
    assert files.tally(table) == {
        "good": 10,
        "train good": 7,
        "test good": 3,
        "defect": 5,
        "test defect": 5,
        "blowhole": 1,
        "break": 1,
        "crack": 1,
        "fray": 1,
        "uneven": 1,
    }
    assert (table.loc[table["label"] == 0, "mask_source"] == "").all()
    assert (table.loc[table["label"] == 1, "mask_source"] != "").all()
    assert "good 10 instead of 952, blowhole 1 instead of 115" in warnings[0]
    assert warnings[1].endswith("names 1 photos that MT_Free/Imgs lacks, such as gone")


def test_mtd_without_the_list(tmp_path: Path) -> None:
    root = trees.mtd(tmp_path, good=60, listed=None)
    counts = files.tally(read("mtd", root, test_fraction=0.5)[0])
    assert 15 <= counts["train good"] <= 45


def test_folder_with_labels(tmp_path: Path) -> None:
    table, warnings = read("folder", trees.folder(tmp_path))
    counts = files.tally(table)
    assert (counts["good"], counts["test defect"], counts["scratch"]) == (20, 4, 2)
    assert counts["train good"] + counts["test good"] == 20
    defects = table[table["label"] == 1].set_index("source")
    assert defects.loc["defect/scratch/1.jpg", "mask_source"] == "masks/scratch/1.png"
    assert defects.loc["defect/0.jpg", "defect_type"] == "defect"
    assert warnings == []


def test_folder_names_masks_without_photo(tmp_path: Path) -> None:
    trees.save(trees.folder(tmp_path) / "masks/scratch/typo.png", trees.spot())
    assert read("folder", tmp_path)[1] == [
        "1 picture not used: a mask that belongs to no photo (1, such as masks/scratch/typo.png)"
    ]


def test_folder_of_photos_without_labels(tmp_path: Path) -> None:
    for name in ("a.png", "Ünïcode, with comma.png", "deep/er/b.PNG"):
        trees.save(tmp_path / name, trees.pixels(1))
    for name in (".hidden.png", ".git/c.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    table, _ = read("folder", tmp_path)
    assert table["source"].tolist() == ["a.png", "deep/er/b.PNG", "Ünïcode, with comma.png"]
    assert set(table["label"]) == {-1}
    assert set(table["split"]) == {"train"}


def test_adding_a_photo_moves_no_other(tmp_path: Path) -> None:
    before = read("folder", trees.folder(tmp_path))[0]
    trees.save(tmp_path / "good/new.png", trees.pixels(500))
    after = read("folder", tmp_path)[0]
    assert after[after["source"] != "good/new.png"].reset_index(drop=True).equals(before)
    assert not read("folder", tmp_path, seed=1)[0]["split"].equals(after["split"])


@pytest.mark.parametrize(
    ("name", "make", "gone", "says"),
    [
        ("mvtec", trees.mvtec, "train/good", "train/good is missing: the mvtec layout needs"),
        ("mvtec", trees.mvtec, "test/good", "test/good is missing"),
        ("ksdd2", trees.ksdd2, "test", "test is missing: the ksdd2 layout needs"),
        ("mtd", trees.mtd, "MT_Fray", "MT_Fray/Imgs is missing: the mtd layout needs"),
        ("folder", trees.folder, "defect", "defect is missing: add it, or set dataset.root to"),
    ],
)
def test_a_missing_folder_is_named_with_the_remedy(
    tmp_path: Path, name: str, make: Callable[[Path], Path], gone: str, says: str
) -> None:
    root = make(tmp_path / "part")
    (root / gone).rename(tmp_path / "away")
    with pytest.raises(UserError) as error:
        read(name, root)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_or_empty_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset\.root = .*nowhere is missing: put the photos there"):
        read("folder", tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no photo"):
        read("folder", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        read("folder", tmp_path / "file")


def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\udce9.png").write_bytes(b"")
    with pytest.raises(UserError, match="rename it"):
        read("folder", tmp_path)


def test_unknown_layout() -> None:
    with pytest.raises(UserError, match="use one of demo, folder"):
        datasets.layout("imagenet")


def test_the_demo_is_generated_into_the_side_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adrefine.datasets import demo

    monkeypatch.setenv("ADREFINE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(demo, "generate", lambda root, size, seed: trees.mvtec(root))
    root, table, _, _ = datasets.read(Dataset(name="demo", image_size=64, seed=3))
    assert root == tmp_path / "demo" / "64-3"
    assert len(table) == 20
