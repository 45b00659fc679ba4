"""Datasets as people have them: other words, masks anywhere, files of every kind. Nothing vanishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import trees
from adrefine import datasets
from adrefine.datasets.account import Account
from adrefine.errors import UserError
from adrefine.params import Dataset


def read(name: str, root: Path) -> tuple[pd.DataFrame, list[str], Account]:
    _, table, warnings, found = datasets.read(Dataset.model_validate({"name": name, "root": str(root)}))
    return table.set_index("source"), warnings, found


def photos(root: Path, folder: str, count: int, first: int = 0, suffix: str = ".png") -> None:
    for number in range(count):
        trees.save(root / folder / f"{number:03}{suffix}", trees.pixels(first + number))


def mask(root: Path, name: str) -> None:
    trees.save(root / name, trees.spot())


@pytest.mark.parametrize(
    ("good", "bad"),
    [("Good", "Defect"), ("OK", "NG"), ("good_parts", "bad_parts"), ("Images/Normal", "Images/Anomaly")],
)
def test_other_words_for_good_and_defective(tmp_path: Path, good: str, bad: str) -> None:
    photos(tmp_path, good, 6)
    photos(tmp_path, bad, 3, 50)
    photos(tmp_path, f"{bad}/scratch", 2, 60)
    mask(tmp_path, f"Masks/{Path(bad).name}/001.png")
    table, warnings, _ = read("folder", tmp_path)
    assert table["label"].value_counts().to_dict() == {0: 6, 1: 5}
    assert table["defect_type"].value_counts().to_dict() == {"": 6, "defect": 3, "scratch": 2}
    assert table.loc[f"{bad}/001.png", "mask_source"] == f"Masks/{Path(bad).name}/001.png"
    assert warnings == []


def test_labels_that_lie_too_deep_or_alone_are_refused(tmp_path: Path) -> None:
    photos(tmp_path, "line1/OK", 3)
    photos(tmp_path, "line1/NG", 3, 50)
    with pytest.raises(UserError, match=r"line1/NG is named like a label.*set dataset\.root to .*line1, or"):
        read("folder", tmp_path)
    photos(tmp_path / "b", "NG", 3)
    with pytest.raises(UserError, match=r"b/good is missing: add it, or set dataset\.root to .*b/NG"):
        read("folder", tmp_path / "b")
    photos(tmp_path / "b", "returned", 2)
    with pytest.raises(UserError, match=r"\(what returned/ holds is not clear: rename it good or defect\)"):
        read("folder", tmp_path / "b")
    trees.mvtec(tmp_path / "c", defects=("bad",))
    with pytest.raises(UserError, match=r"or dataset\.name to mvtec"):
        read("folder", tmp_path / "c")


def test_folders_that_say_nothing_are_named_as_unlabelled(tmp_path: Path) -> None:
    photos(tmp_path, "monday", 3)
    photos(tmp_path, "tuesday", 3, 50)
    table, warnings, _ = read("folder", tmp_path)
    assert set(table["label"]) == {-1}
    assert "all photos in monday/, tuesday/ are taken as unlabelled" in warnings[0]


@pytest.mark.parametrize(
    "name", ["defect/{:03}_mask.png", "defect/{:03}_GT.bmp", "defect/masks/{:03}.png", "defect/gt_{:03}.png"]
)
def test_a_mask_beside_its_photo_is_no_photo(tmp_path: Path, name: str) -> None:
    photos(tmp_path, "good", 6)
    photos(tmp_path, "defect", 3, 50)
    for number in range(3):
        mask(tmp_path, name.format(number))
    table, warnings, found = read("folder", tmp_path)
    assert len(table) == 9
    assert table.loc["defect/001.png", "mask_source"] == name.format(1)
    assert (found.photos, found.masks, len(found.ignored), warnings) == (9, 3, 0, [])


def test_a_mask_with_the_name_of_its_photo_is_told_by_its_pixels(tmp_path: Path) -> None:
    photos(tmp_path, "good", 6)
    photos(tmp_path, "defect", 2, 50, ".jpg")
    mask(tmp_path, "defect/000.png")
    trees.save(tmp_path / "defect/001.png", trees.pixels(77))  # another photo
    table, _, _ = read("folder", tmp_path)
    assert table.loc["defect/000.jpg", "mask_source"] == "defect/000.png"
    assert "defect/001.png" in table.index


@pytest.mark.parametrize("name", ["{:03}mask.png", "{:03}_m.bmp", "{:03}_binary.png", "{:03} (roi).png"])
def test_a_mask_of_any_name_beside_its_photo_is_told_by_its_pixels(tmp_path: Path, name: str) -> None:
    photos(tmp_path, "good", 6)
    photos(tmp_path, "defect", 5, 50)
    for number in range(5):
        mask(tmp_path, f"defect/{name.format(number)}")
    trees.save(tmp_path / "defect/000_left.png", trees.pixels(77))  # another photo
    table, warnings, found = read("folder", tmp_path)
    assert table.loc["defect/001.png", "mask_source"] == f"defect/{name.format(1)}"
    assert (found.photos, found.masks, warnings) == (12, 5, [])


@pytest.mark.parametrize("name", ["mask_images", "masks_png", "GT masks", "anomaly_mask"])
@pytest.mark.parametrize("number", ["", "_1", " (2)"])
def test_folders_and_numbers_of_masks(tmp_path: Path, name: str, number: str) -> None:
    photos(tmp_path, "good", 6)
    photos(tmp_path, "defect", 3, 50)
    for photo in range(3):
        mask(tmp_path, f"{name}/{photo:03}{number}.png")
    table, _, found = read("folder", tmp_path)
    assert table.loc["defect/001.png", "mask_source"] == f"{name}/001{number}.png"
    assert (found.photos, found.masks) == (9, 3)


def test_masks_of_no_photo_are_no_photos_and_labels_may_be(tmp_path: Path) -> None:
    photos(tmp_path, "views", 4)
    mask(tmp_path, "ground_truth/other/7_mask.png")
    assert len(read("folder", tmp_path)[0]) == 4
    photos(tmp_path, "label", 2, 90)  # of labels
    assert len(read("folder", tmp_path)[0]) == 6


@pytest.mark.parametrize(
    "names", [("ok_front", "ng_front"), ("0", "1"), ("Positive", "negative"), ("true", "false")]
)
def test_names_that_may_be_labels_are_not_taken_for_nothing(tmp_path: Path, names: tuple[str, str]) -> None:
    for place, name in enumerate(names):
        photos(tmp_path, name, 3, 10 * place)
    with pytest.raises(UserError, match="rename the folders good and defect"):
        read("folder", tmp_path)


def test_good_photos_further_down_are_not_taken_for_unlabelled(tmp_path: Path) -> None:
    trees.mvtec(tmp_path, defects=("scratch",))
    with pytest.raises(UserError, match=r"or dataset\.name to mvtec"):
        read("folder", tmp_path)


def test_pictures_without_a_suffix_are_named_where_there_are_no_others(tmp_path: Path) -> None:
    trees.save(tmp_path / "one.png", trees.pixels(1)).rename(tmp_path / "one")
    with pytest.raises(UserError, match=r"not read: 1 without a suffix \(rename it"):
        read("folder", tmp_path)


def test_photos_that_are_called_mask_stay_photos(tmp_path: Path) -> None:
    for number in range(5):
        trees.save(tmp_path / f"mask_{number}.png", trees.pixels(number))
    assert len(read("folder", tmp_path)[0]) == 5


def test_masks_among_unlabelled_photos_are_left_out(tmp_path: Path) -> None:
    photos(tmp_path, "images", 4)
    for number in range(3):
        mask(tmp_path, f"masks/{number:03}.png")
    mask(tmp_path, "masks/099.png")
    table, warnings, found = read("folder", tmp_path)
    assert len(table) == 4
    assert set(found.ignored["reason"]) == {"a mask: photos that nobody has labelled need none"}
    assert warnings == []


@pytest.mark.parametrize(
    "name",
    [
        "crack/{:03}_mask.png",
        "crack/{:03}_GT.png",
        "crack/mask_{:03}.png",
        "crack/{:03}_Mask.PNG",
        "crack/{:03}/000.png",
        "{:03}_mask.png",
        "Crack/{:03}_mask.png",
        "crack/{:03}.bmp",
    ],
)
@pytest.mark.parametrize("folder", ["ground_truth", "Masks"])
def test_masks_in_the_mvtec_layout_by_any_name(tmp_path: Path, name: str, folder: str) -> None:
    for place, count in (("train/good", 4), ("test/good", 2), ("test/crack", 3)):
        photos(tmp_path, place, count, 10 * len(place))
    for number in range(3):
        mask(tmp_path, f"{folder}/{name.format(number)}")
    table, warnings, found = read("mvtec", tmp_path)
    assert table.loc["test/crack/001.png", "mask_source"] == f"{folder}/{name.format(1)}"
    assert (found.masks, len(found.ignored), warnings) == (3, 0, [])


def test_a_mask_that_could_be_of_two_photos_stops(tmp_path: Path) -> None:
    for place in ("train/good", "test/good", "test/crack", "test/dent"):
        photos(tmp_path, place, 2, 10 * len(place))
    mask(tmp_path, "ground_truth/000_mask.png")
    with pytest.raises(
        UserError, match=r"000_mask\.png could belong to test/crack/000\.png or test/dent/000\.png"
    ):
        read("mvtec", tmp_path)


def test_a_mask_of_another_type_of_defect_is_not_taken(tmp_path: Path) -> None:
    for place in ("train/good", "test/good", "test/crack"):
        photos(tmp_path, place, 2, 10 * len(place))
    mask(tmp_path, "ground_truth/dent/000_mask.png")
    table, warnings, _ = read("mvtec", tmp_path)
    assert (table["mask_source"] == "").all()
    assert (
        "a mask that belongs to no defective photo (1, such as ground_truth/dent/000_mask.png)" in warnings[0]
    )


def test_the_layouts_of_mvtec_loco_3d_and_btad(tmp_path: Path) -> None:
    photos(tmp_path / "3d", "train/good/rgb", 4)
    photos(tmp_path / "3d", "test/good/rgb", 2, 20)
    photos(tmp_path / "3d", "test/hole/rgb", 2, 40)
    mask(tmp_path / "3d", "test/hole/gt/000.png")
    photos(tmp_path / "3d", "test/hole/xyz", 2, 60, ".tiff")
    table, _, found = read("mvtec", tmp_path / "3d")
    assert table["label"].value_counts().to_dict() == {0: 6, 1: 2}
    assert table.loc["test/hole/rgb/000.png", ["mask_source", "defect_type"]].tolist() == [
        "test/hole/gt/000.png",
        "hole",
    ]
    assert set(found.ignored["reason"]) == {"points of a 3D scan, no photos"}
    for place, first in (("Train/ok", 0), ("Test/ok", 20), ("Test/ko", 40)):
        photos(tmp_path / "btad", place, 3, first)
    mask(tmp_path / "btad", "ground_truth/ko/001.png")
    table, _, _ = read("mvtec", tmp_path / "btad")
    assert table.loc["Test/ko/001.png", "mask_source"] == "ground_truth/ko/001.png"
    assert (table["split"] == "train").sum() == 3


def test_every_file_is_accounted_for(tmp_path: Path) -> None:
    root = trees.folder(tmp_path)
    photos(root, "new", 2, 300)
    trees.save(root / "loose.png", trees.pixels(400))
    Image.fromarray(trees.pixels(401)).save(root / "good/a.gif")
    for name in ("good/b.avif", "good/c.dng", "good/d.txt", "good/.hidden.png", "Thumbs.db"):
        (root / name).write_bytes(b"x")
    (root / "good/e").write_bytes((root / "loose.png").read_bytes())
    (root / "good/f.jfif").write_bytes((root / "defect/0.jpg").read_bytes())
    table, warnings, found = read("folder", root)
    there = [path for path in root.rglob("*") if path.is_file()]
    assert found.total == len(there) == found.photos + found.masks + len(found.ignored)
    reasons = found.ignored.set_index("source")["reason"].to_dict()
    assert reasons == {
        "new/000.png": "neither in defect/, good/",
        "new/001.png": "neither in defect/, good/",
        "loose.png": "neither in defect/, good/",
        "good/a.gif": ".gif is not read: convert it to PNG",
        "good/b.avif": ".avif is not read: convert it to PNG",
        "good/c.dng": ".dng is not read: develop it to PNG",
        "good/d.txt": "not a photo (.txt)",
        "good/.hidden.png": "hidden",
        "Thumbs.db": "hidden",
        "good/e": "a picture with the suffix (none): rename it to .png, .jpg, .tif or what it is",
    }
    assert "good/f.jfif" in table.index
    assert warnings[0].startswith("7 pictures not used: neither in defect/, good/ (3, such as loose.png); ")


def test_official_layouts_account_for_the_masks_of_good_photos(tmp_path: Path) -> None:
    for name, root in (("mtd", trees.mtd(tmp_path / "m")), ("ksdd2", trees.ksdd2(tmp_path / "k"))):
        _, warnings, found = read(name, root)
        assert found.total == found.photos + found.masks + len(found.ignored)
        assert not any("not used" in line for line in warnings if "copy" not in line)


def test_a_root_without_photos_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.avif").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"holds no photo; not read: 1 \.avif \(convert it to PNG\): put some"
    ):
        read("folder", tmp_path)


def test_masks_of_good_photos_beside_them(tmp_path: Path) -> None:
    photos(tmp_path, "good", 4)
    photos(tmp_path, "defect", 2, 50)
    trees.save(tmp_path / "good/000_mask.png", np.zeros((32, 40), np.uint8))
    table, _, _ = read("folder", tmp_path)
    assert table.loc["good/000.png", "mask_source"] == "good/000_mask.png"
