"""What a person confirmed teaches one more model, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from adrefine.detectors.base import Images
from adrefine.detectors.mixed.settings import Settings as Mixed
from adrefine.detectors.padim.detector import Padim
from adrefine.detectors.padim.settings import Settings
from adrefine.review import Verdicts
from adrefine.strategies import teaching
from detectors.mixed import drawn
from fakes import FakeDetector

CONFIRMED = [f"r{n:02d}" for n in range(12)]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return drawn.write(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def images(everything: Images) -> Images:
    """40 good photos and 12 hidden defects."""
    return everything.only([f"g{n:02d}" for n in range(40)] + CONFIRMED)


def refined(images: Images) -> tuple[Padim, pd.DataFrame]:
    """As after a review of all of them: the defects went."""
    table = pd.DataFrame({"image_id": images.ids})
    table["kept"] = (~table["image_id"].isin(CONFIRMED)).astype(int)
    model = Padim(Settings())
    model.fit(images.only(table.loc[table["kept"] == 1, "image_id"]))
    return model, table


def test_it_finds_defects_as_confirmed_that_the_refined_model_does_not_see(
    images: Images, everything: Images
) -> None:
    model, table = refined(images)
    taught = teaching.taught(model, images, table, Verdicts(remove=frozenset(CONFIRMED)))
    assert taught is not None
    assert drawn.auroc_of(taught, everything) > drawn.auroc_of(model, everything) + 0.2


def test_it_is_what_the_detector_mixed_makes_of_them(images: Images, everything: Images) -> None:
    model, table = refined(images)
    taught = teaching.taught(model, images, table, Verdicts(remove=frozenset({*CONFIRMED, "elsewhere"})))
    assert taught is not None
    mixed = Mixed().create()
    mixed.know(images.only(CONFIRMED))
    mixed.fit(images.only(table.loc[table["kept"] == 1, "image_id"]))
    assert taught.score(everything).image.tolist() == mixed.score(everything).image.tolist()


def test_photos_that_weigh_nothing_teach_nothing_and_others_by_weight(
    images: Images, everything: Images
) -> None:
    model, table = refined(images)
    light = table.assign(weight=table["kept"].astype(float))
    answers = Verdicts(remove=frozenset(CONFIRMED))
    plain = teaching.taught(model, images, table, answers)
    same = teaching.taught(model, images, light, answers)
    light.loc[light["image_id"] == "g07", "weight"] = 0.1
    other = teaching.taught(model, images, light, answers)
    scores = [one.score(everything).image.tolist() for one in (plain, same, other) if one]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("count", [0, teaching.FEWEST - 1])
def test_few_answers_teach_nothing(images: Images, count: int) -> None:
    model, table = refined(images)
    few = Verdicts(remove=frozenset(CONFIRMED[:count]), keep=frozenset({"g00", "g01", "g02"}))
    assert teaching.taught(model, images, table, few) is None


def test_other_detectors_are_left_alone(images: Images) -> None:
    table, answers = refined(images)[1], Verdicts(remove=frozenset(CONFIRMED))
    for other in (FakeDetector(), Padim(Settings(pooled=False))):
        assert teaching.taught(other, images, table, answers) is None


def test_it_comes_back_from_disk(images: Images, everything: Images, tmp_path: Path) -> None:
    model, table = refined(images)
    taught = teaching.taught(model, images, table, Verdicts(remove=frozenset(CONFIRMED)))
    assert taught is not None
    taught.save(tmp_path)
    loaded = Mixed().create()
    loaded.load(tmp_path)
    assert loaded.score(everything).image.tolist() == taught.score(everything).image.tolist()
