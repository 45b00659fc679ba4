"""The suite as data: what must hold of the ingested photos, and what to do if it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from adrefine import manifest
from adrefine.params import Validate

IMAGE_ID = r"^[0-9a-f]{16}$"
AGAIN = "run `dvc repro -f ingest` to make it again"


@dataclass(frozen=True)
class Check:
    """One expectation: the table it is about, its Great Expectations class and arguments, and the remedy.

    `says`: what is wrong, for people; `remedy`: how to mend it, naming the parameter if there is one.
    """

    table: str
    expectation: str
    says: str
    remedy: str
    arguments: dict[str, Any] = field(default_factory=dict)


def suite(tables: dict[str, pd.DataFrame], params: Validate) -> list[Check]:
    """The checks that fit `tables` (see `tables.derive`); only those of the columns if one is missing."""
    checks = _columns()
    if "photos" in tables:
        dataset = {str(name): float(value) for name, value in tables["dataset"].iloc[0].items()}
        checks += _values(params) + _agreement() + _pairs() + _splits(dataset, params)
        checks += _grey_levels(params)
    return checks


def _columns() -> list[Check]:
    return [
        Check(
            table,
            "ExpectTableColumnsToMatchOrderedList",
            f"{name} does not have the columns it should",
            AGAIN,
            {"column_list": list(columns)},
        )
        for table, name, columns in (
            ("manifest", "manifest.csv", manifest.COLUMNS),
            ("duplicates", "duplicates.csv", manifest.DUPLICATE_COLUMNS),
            ("levels", "levels.csv", manifest.LEVEL_COLUMNS),
        )
    ]


def _column(
    column: str, expectation: str, says: str, remedy: str = AGAIN, table: str = "manifest", **arguments: Any
) -> Check:
    return Check(table, expectation, says, remedy, {"column": column, **arguments})


def _values(params: Validate) -> list[Check]:
    matches, between, inside, unique = (
        f"ExpectColumnValuesTo{what}" for what in ("MatchRegex", "BeBetween", "BeInSet", "BeUnique")
    )
    return [
        Check(
            "manifest",
            "ExpectTableRowCountToBeBetween",
            "the dataset has no photo",
            "check dataset.root and dataset.name",
            {"min_value": 1},
        ),
        _column("image_id", unique, "several rows are about the same image"),
        _column("image_id", matches, "image_id is not 16 hexadecimal digits", regex=IMAGE_ID),
        _column("path", unique, "several rows share one file"),
        _column("path", matches, "path is not that of a PNG relative to the project", regex=r"^[^/].*\.png$"),
        _column("source", unique, "one photo was taken in several times"),
        _column("split", inside, "split is unknown", value_set=list(manifest.SPLITS)),
        _column(
            "label",
            inside,
            "label is none of -1, 0, 1",
            value_set=[manifest.UNKNOWN, manifest.GOOD, manifest.DEFECT],
        ),
        _column("width", between, "a photo has no width", min_value=1),
        _column("height", between, "a photo has no height", min_value=1),
        _column(
            "mask_area",
            between,
            "a defect mask covers nearly the whole photo (is it inverted?)",
            "correct the mask, or raise validate.max_mask_area",
            min_value=0,
            max_value=params.max_mask_area,
        ),
    ]


def _grey_levels(params: Validate) -> list[Check]:
    """Photos that hold next to nothing, which a wrong grey scale makes of good ones."""
    depth = (
        "if they hold more than 8 bits, set dataset.bit_depth to those of the camera (the column scale of "
        "data/ingested/manifest.csv says how they were read); else mend or remove them, or change"
    )
    most = 1 - params.max_blank
    photos = (
        ("grey_levels", "photos have few grey levels", "min_levels", {"min_value": params.min_levels}),
        ("black", "photos are black", "max_clipped", {"max_value": params.max_clipped}),
        ("saturated", "photos are white", "max_clipped", {"max_value": params.max_clipped}),
    )
    checks = [
        _column(
            column,
            "ExpectColumnValuesToBeBetween",
            f"too many {says}",
            f"{depth} validate.{key} or validate.max_blank",
            "levels",
            mostly=most,
            **limit,
        )
        for column, says, key, limit in photos
    ]
    return checks + [
        _column(
            f"{name}_share",
            "ExpectColumnMaxToBeBetween",
            f"nearly all pixels of the whole set are {name}",
            f"{depth} validate.max_clipped",
            "dataset",
            max_value=params.max_clipped,
        )
        for name in ("black", "saturated")
    ]


def _agreement() -> list[Check]:
    wrong = (
        ("file_missing", "an image file is gone", AGAIN),
        ("mask_missing", "a mask file is gone", AGAIN),
        (
            "good_but_masked",
            "a photo labelled good has a defect mask that is not empty",
            "label it a defect or take its mask away",
        ),
        (
            "defect_mask_empty",
            "a defect has a mask without any marked pixel",
            "correct the mask, or take it away if nobody marked the defect",
        ),
        ("area_without_mask", "a photo without a mask has a masked area", AGAIN),
        ("good_but_typed", "a photo labelled good has a defect type", AGAIN),
        (
            "defect_to_learn",
            "a photo labelled defect is among the good ones to learn from (train or val)",
            "move it to the test photos",
        ),
    )
    return [
        _column(column, "ExpectColumnValuesToBeInSet", says, remedy, "photos", value_set=[0])
        for column, says, remedy in wrong
    ]


def _pairs() -> list[Check]:
    wrong = (
        ("exact_leak", "the same photo is trained on and tested on", "delete one of the two files"),
        (
            "exact_conflict",
            "the same photo is labelled good and defect",
            "delete the file that is wrong; if a list names one file twice, mend the list",
        ),
    )
    return [
        _column(column, "ExpectColumnValuesToBeInSet", says, remedy, "pairs", value_set=[0])
        for column, says, remedy in wrong
    ]


def _splits(dataset: dict[str, float], params: Validate) -> list[Check]:
    """Sizes. Unlabelled photos may have no test set; known defects need good photos to be told from."""
    least = (
        (
            "train_photos",
            params.min_train,
            "too few training photos",
            "add photos, or lower validate.min_train or dataset.val_fraction",
        ),
        (
            "val_photos",
            params.min_val,
            "too few held-out photos",
            "raise dataset.val_fraction, or lower validate.min_val",
        ),
        (
            "test_photos",
            int(dataset["labelled"] > 0),
            "no test photo",
            "add test photos, or raise dataset.test_fraction",
        ),
        (
            "good_test_photos",
            int(dataset["defects"] > 0),
            "no good test photo to tell the defects from",
            "add good test photos, or raise dataset.test_fraction",
        ),
    )
    checks = [
        _column(column, "ExpectColumnMinToBeBetween", says, remedy, "dataset", min_value=minimum)
        for column, minimum, says, remedy in least
    ]
    checks.append(
        _column(
            "near_leak_share",
            "ExpectColumnMaxToBeBetween",
            "too many test photos have a near duplicate to learn from",
            "remove those in data/ingested/duplicates.csv, or raise validate.max_near_leaks",
            "dataset",
            max_value=params.max_near_leaks,
        )
    )
    return checks
