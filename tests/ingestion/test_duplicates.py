"""Exact and near duplicates, and which copy stays."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import trees
from adrefine.ingestion import decode, duplicates


def table(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    """Rows of image_id, split, label."""
    made = pd.DataFrame(rows, columns=["image_id", "split", "label"])
    return made.assign(source=[f"{place}.png" for place in range(len(made))], mask_area=0.0)


def aligned(seed: int) -> Image.Image:
    """Photos of the same part in the same place: one shape, own texture and noise."""
    part = trees.pixels(0, 128, 128).astype(int)
    own = trees.pixels(seed, 128, 128).astype(int)
    return Image.fromarray(np.clip(part + (own - 128) // 8, 0, 255).astype(np.uint8))


def copy(image: Image.Image, how: str) -> Image.Image:
    if how == "jpeg":
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=60)
        return Image.open(buffer)
    if how == "half":
        return image.resize((64, 64), Image.Resampling.BILINEAR).resize((128, 128), Image.Resampling.BICUBIC)
    if how == "darker":
        return image.point(lambda value: int(value * 0.7))
    return Image.fromarray(np.clip(np.asarray(image, int) + 9, 0, 255).astype(np.uint8))


def test_which_copy_stays() -> None:
    photos = table(
        [
            ("a", "train", 0),
            ("a", "test", 0),
            ("b", "train", 0),
            ("b", "pool", 1),
            ("c", "val", 0),
            ("c", "val", 0),
            ("d", "train", 0),
        ]
    )
    kept, dropped = duplicates.drop_exact(photos)
    assert kept["source"].tolist() == ["1.png", "3.png", "4.png", "6.png"]
    assert dropped[["source", "other_source", "leak", "label_conflict"]].to_numpy().tolist() == [
        ["0.png", "1.png", 1, 0],
        ["2.png", "3.png", 0, 1],
        ["5.png", "4.png", 0, 0],
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from(sorted(duplicates.PREFERENCE)),
            st.sampled_from([-1, 0, 1]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(),
)
def test_every_image_stays_once_whatever_the_order(rows: list[tuple[str, str, int]], random: object) -> None:
    photos = table(rows)
    kept, dropped = duplicates.drop_exact(photos)
    assert len(kept) + len(dropped) == len(photos)
    assert set(kept["image_id"]) == set(photos["image_id"])
    assert kept["image_id"].is_unique
    ranks = photos["split"].map(duplicates.PREFERENCE)
    assert (
        kept["split"].map(duplicates.PREFERENCE).to_numpy()
        == ranks.groupby(photos["image_id"]).min().to_numpy()
    ).all()
    random.shuffle(order := list(photos.index))  # type: ignore[attr-defined]
    again, _ = duplicates.drop_exact(photos.loc[order])
    assert again.equals(kept)


@pytest.mark.parametrize("how", ["jpeg", "half", "darker", "brighter"])
def test_a_changed_copy_is_found_and_photos_of_the_same_part_are_not(how: str) -> None:
    images = [aligned(seed) for seed in range(1, 31)]
    images.append(copy(images[4], how))
    thumbnails = np.stack([decode.thumbnail(image) for image in images])
    photos = table([(f"{place:02d}", "train" if place < 30 else "test", 0) for place in range(31)])
    found = duplicates.find_near(photos, thumbnails, 0.995)
    assert found[["image_id", "other_image_id", "leak"]].to_numpy().tolist() == [["04", "30", 1]]
    assert 0.995 < found["similarity"].iloc[0] <= 1


def test_a_leak_is_found_behind_a_closer_copy_and_copies_do_not_explode() -> None:
    base = np.stack([decode.thumbnail(aligned(seed)) for seed in range(1, 9)])
    copies = np.repeat(base[:1], 300, axis=0)
    photos = table([(f"{place:03d}", "test" if place < 304 else "train", 0) for place in range(308)])
    found = duplicates.find_near(photos, np.concatenate([copies, base]), 0.995)
    assert len(found) <= 2 * len(photos)
    photos["split"] = ["test", "test", *["train"] * 306]
    found = duplicates.find_near(photos, np.concatenate([copies, base]), 0.995)
    leaks = found[found["leak"] == 1]
    assert set(leaks["other_image_id"]) == {"000", "001"}


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(40, 256))
    thumbnails = np.concatenate([base, base + 0.02 * rng.normal(size=base.shape)]).astype(np.float16)
    test = np.arange(80) >= 40
    pairs, similarity = duplicates.near_pairs(thumbnails, ~test, test, 0.9)
    assert pairs.tolist() == [[n, n + 40] for n in range(40)]
    assert (similarity > 0.99).all()
    monkeypatch.setattr(duplicates, "_BLOCK", 80 * 7)
    assert duplicates.near_pairs(thumbnails, ~test, test, 0.9)[0].tolist() == pairs.tolist()


def test_flat_photos_are_like_no_other() -> None:
    flat = np.stack([decode.thumbnail(Image.new("L", (32, 32), level)) for level in (0, 40, 90, 255)])
    assert not flat.any()
    assert len(duplicates.near_pairs(flat, np.ones(4, bool), np.zeros(4, bool), 0.9)[0]) == 0
