"""What names of folders and files say, in the words that people use."""

from __future__ import annotations

import pytest

from adrefine.datasets import words
from adrefine.manifest import DEFECT, GOOD


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (
            GOOD,
            "good Good OK ok_parts GoodParts normal Normal_images 01_good non-defective defect_free IO "
            "bon valid годен 합격",
        ),
        (
            DEFECT,
            "defect Defects NG ng2 bad bad_parts not_ok NotOK NOK n.i.O. anomaly Abnormal faulty rejects "
            "invalid mauvais Malo брак 불량",
        ),
        (None, "scratch bent line1 2024-05-01 goods_in_stock new train test masks good_and_bad okra"),
    ],
)
def test_labels_in_any_case_and_company(label: int | None, names: str) -> None:
    assert {name: words.label_of(name) for name in names.split()} == dict.fromkeys(names.split(), label)
    assert words.label_of("no defects") == GOOD
    assert words.label_of("not good") == DEFECT


@pytest.mark.parametrize(
    "stem",
    [
        "000_mask",
        "000_GT",
        "000-Mask",
        "000.mask",
        "000_label",
        "mask_000",
        "GT-000",
        "000_mask_2",
        "000_seg",
        "000 mask",
    ],
)
def test_the_photo_of_a_mask(stem: str) -> None:
    assert words.photo_stem(stem) == "000"


@pytest.mark.parametrize("stem", ["000", "masked", "mask", "gt", "unmask_a", "my_masking"])
def test_names_that_only_look_like_masks(stem: str) -> None:
    assert words.photo_stem(stem) == stem


def test_folders() -> None:
    for name in ("masks", "Mask", "ground_truth", "Ground Truth", "GT", "GroundTruth"):
        assert words.is_mask_folder(name)
    assert not words.is_mask_folder("maskerade")
    assert words.no_photos("xyz") == "points of a 3D scan"
    assert words.no_photos("rgb") == ""
    assert words.mask_series("000_mask_12") == words.mask_series("000_mask_3") == "000_mask"
