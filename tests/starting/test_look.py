"""A first look at photos: layout, counts, sizes, what cannot be read, what is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from adrefine.errors import UserError
from adrefine.params import Dataset
from adrefine.starting import look
from trees import pixels, save


def photos(root: Path, *names: str, side: int = 32) -> None:
    for seed, name in enumerate(names):
        save(root / name, pixels(hash_of(name, seed), side, side))


def hash_of(name: str, seed: int) -> int:
    return sum(map(ord, name)) + 1000 * seed


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["train/good/1.png", "test/good/2.png", "test/hole/3.png"], "mvtec"),
        (["train/1.png", "train/1_GT.png", "test/2.png", "test/2_GT.png"], "ksdd2"),
        (["MT_Free/Imgs/1.png", "MT_Blowhole/Imgs/2.png"], "mtd"),
        (["good/1.png", "defect/2.png"], "folder"),
        (["OK/1.png", "NG/2.png"], "folder"),
        (["1.png", "2.png"], "folder"),
    ],
)
def test_the_layout_is_guessed(tmp_path: Path, names: list[str], layout: str) -> None:
    photos(tmp_path, *names)
    assert look.guess(tmp_path) == layout


def test_several_products_are_named_and_what_to_do(tmp_path: Path) -> None:
    photos(tmp_path, "bottle/train/good/1.png", "screw/train/good/1.png")
    with pytest.raises(UserError, match=r"holds 2 products.*adrefine init bottle --photos .*/bottle`"):
        look.guess(tmp_path)


def test_it_counts_and_names_what_is_wrong(tmp_path: Path) -> None:
    photos(tmp_path, *(f"good/{number:03d}.png" for number in range(60)), "defect/x.png")
    photos(tmp_path, "good/small.png", side=16)
    (tmp_path / "good/copy.png").write_bytes((tmp_path / "good/001.png").read_bytes())
    whole = (tmp_path / "good/002.png").read_bytes()
    (tmp_path / "good/002.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "good/note.avif").write_bytes(b"\0\0\0\x18ftypavif")
    seen = look.look(Dataset(name="folder", root=str(tmp_path)), 30)
    assert (seen.photos, seen.good, seen.defective, seen.looked) == (63, 62, 1, 63)
    assert seen.sizes == {(32, 32): 61, (16, 16): 1}
    assert [name for name, _ in seen.unreadable] == ["good/002.png"]
    assert seen.twice == [("good/copy.png", "good/001.png")]
    assert seen.odd == ["good/small.png"]
    text = "\n".join(seen.lines())
    assert "layout folder, 63 photos: 62 good, 1 defective" in text
    assert "looked at 63 of 63: 32 x 32 (61), 16 x 16 (1)" in text
    assert "1 cannot be read, and will be set aside: good/002.png" in text
    assert ".avif is not read" in text


def test_where_sizes_vary_none_is_odd(tmp_path: Path) -> None:
    for side in range(16, 76):
        photos(tmp_path, f"{side}.png", side=side)
    seen = look.look(Dataset(name="folder", root=str(tmp_path)), 30)
    assert len(seen.sizes) == 60
    assert seen.problems() == []


def test_it_ends_in_time_and_says_how_many_it_saw(tmp_path: Path) -> None:
    photos(tmp_path, *(f"{number}.png" for number in range(12)))
    seen = look.look(Dataset(name="folder", root=str(tmp_path)), -1)
    assert (seen.photos, seen.looked) == (12, 0)
    assert seen.seen() == "looked at 0 of 12: no size"
    assert "unlabelled" in seen.lines()[0]
