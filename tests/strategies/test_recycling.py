"""Removed photos as real defects: which, when, and that they change no decision before the last fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from adrefine import detectors
from adrefine.detectors.base import Images
from adrefine.params import Params
from adrefine.places import evidence
from adrefine.review import Verdicts
from adrefine.strategies import refinement
from fakes import FakeDetector, MapStore, image_set

COUNT = 30
FIRST = Verdicts(remove=frozenset({"im003", "im004", "elsewhere"}), keep=frozenset({"im000"}))


class Taught(FakeDetector):
    """It writes down, in the order of what happens, what it was told and which photos it learned."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, tuple[str, ...], float]] = []

    def know(self, defects: Images, weight: float = 1.0) -> None:
        if len(defects):
            self.told.append(("know", defects.ids, weight))

    def fit(self, images: Images, *, warm_start: bool = False) -> list[dict[str, float]]:
        self.told.append(("fit", images.ids, 0))
        return super().fit(images, warm_start=warm_start)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def gathered(images: Images, held: object, verdicts: Verdicts, seed: int) -> evidence.Evidence:
        return evidence.gather(MapStore(6), images.ids, (), seed, verdicts.remove)

    monkeypatch.setattr(detectors, "create", lambda params: Taught())
    monkeypatch.setattr(evidence, "of", gathered)


def run(
    recycle: str, verdicts: Verdicts, detector: str = "mixed", final_fit: str = "scratch"
) -> refinement.Refinement:
    params = Params.model_validate(
        {
            "detector": detector,
            "mixed": {"recycle": recycle, "trust": 0.3},
            "refine": {"strategy": "consensus", "contamination": 0.2, "final_fit": final_fit},
        }
    )
    ids = list(image_set(COUNT).ids)
    table = pd.DataFrame({"image_id": ids, "path": ids, "split": "train", "in_test": 0})
    return refinement.run(params, table, Path("prepared"), Path("initial"), verdicts)


def told(found: refinement.Refinement) -> list[tuple[str, tuple[str, ...], float]]:
    assert isinstance(found.model, Taught)
    return found.model.told


def out(found: refinement.Refinement) -> set[str]:
    images = found.outcome.images
    return set(images.loc[images["kept"] == 0, "image_id"])


def test_what_a_human_removed_teaches_before_anything_is_learned() -> None:
    found = run("confirmed", FIRST)
    assert told(found)[0] == ("know", ("im003", "im004"), 1.0)
    assert [what for what, *_ in told(found)].count("know") == 1
    assert found.recycled == {"im003", "im004"} < out(found)


@pytest.mark.parametrize("final_fit", ["scratch", "warm"])
def test_what_a_strategy_removed_teaches_the_last_fit_alone_and_less(final_fit: str) -> None:
    found = run("removed", FIRST, final_fit=final_fit)
    *before, know, fit = told(found)
    assert know == ("know", tuple(sorted(out(found) - {"im003", "im004"})), 0.3)
    assert fit[0] == "fit"
    assert not set(fit[1]) & out(found)
    assert ("know", 0.3) not in {(what, weight) for what, _, weight in before}
    assert found.recycled == out(found)
    assert "im000" not in found.recycled


def test_no_answer_and_no_recycling_change_nothing() -> None:
    alone = run("none", Verdicts())
    for other in (run("confirmed", Verdicts()), run("none", FIRST, "padim")):
        assert not other.recycled
        assert not [what for what, *_ in told(other) if what == "know"]
    assert told(run("confirmed", Verdicts())) == told(alone)


def test_recycling_decides_nothing() -> None:
    """The same photos go, whatever they teach afterwards."""
    images = [run(recycle, FIRST).outcome.images for recycle in ("none", "confirmed", "removed")]
    assert images[0].equals(images[1])
    assert images[0].equals(images[2])
